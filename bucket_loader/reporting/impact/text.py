"""The impact of a plan, for a person at a terminal of any width."""

from typing import Final

from bucket_loader.reporting.diff.showing import Showing
from bucket_loader.reporting.impact.shown import HEADER, attributes, becomes, more, rules, table_rows, whom, whys
from bucket_loader.reporting.impact.value import Impact
from bucket_loader.reporting.terminal import Page, stdout_console

_MOST: Final = 30  # signs of a value
_WHOLE: Final = 200  # of a sentence


def print_impact(impact: Impact) -> None:
    """Write it to stdout."""
    console = stdout_console()
    page = Page(console)
    cut, arrow = page.marks.cut, page.marks.arrow
    values = Showing(_MOST, cut=cut, arrow=arrow, encoding=console.encoding)
    sentences = Showing(_WHOLE, cut=cut, arrow=arrow, encoding=console.encoding)
    if impact.features:
        page.table(HEADER, list(table_rows(impact, values)))
    shown = 0
    for flip in impact.flips:
        head = f"  {values.text(flip['feature'])} {becomes(flip, values)}: {whom(flip, values)}"
        page.write(f"{head}  ({rules(flip, values)})", "warning", head=len(head))
        for attribute in filter(None, attributes(flip, values)):
            page.write(f"      {attribute}")
        shown += 1
    if left := more(impact, shown):
        page.write(f"  {left}", "dim")
    for why in whys(impact, sentences):
        page.write(f"  {why}", "dim")
    for note in impact.notes:
        page.write(f"  {sentences.text(note)}", "hint")
    page.write(impact.line, "head")
