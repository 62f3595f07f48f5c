"""The impact of a plan, for a comment on a pull request: no longer than one may be, and values are texts."""

from collections.abc import Iterator
from typing import Final

from bucket_loader.reporting.diff.markdown import CHARACTERS_MOST, code, header, row
from bucket_loader.reporting.diff.showing import Showing
from bucket_loader.reporting.impact.shown import HEADER, attributes, becomes, more, rules, table_rows, whom, whys
from bucket_loader.reporting.impact.value import Impact

_FOR_THE_END: Final = 300  # characters
_VALUE: Final = Showing(80)
_WHOLE: Final = Showing(300)


def impact_markdown(impact: Impact) -> str:
    """Return the whole text."""
    text, room = "", CHARACTERS_MOST - _FOR_THE_END
    for piece in _pieces(impact):
        if len(text) + len(piece) > room:
            return f"{text}\n... and what does not fit into a comment\n"
        text += piece
    return text


def _pieces(impact: Impact) -> Iterator[str]:
    yield f"### {impact.line}, in a run of {code(_VALUE.text(impact.pipeline))}\n"
    yield from (f"\n{code(_WHOLE.text(note))}\n" for note in impact.notes)
    yield header(*HEADER, numbers=True)
    yield from (row(code(key), *counts) for key, *counts in table_rows(impact, _VALUE))
    shown = 0
    for flip in impact.flips:
        if not shown:
            yield header("feature", "", "whom", "rule", "why")
        cells = (flip["feature"], becomes(flip, _VALUE), whom(flip, _VALUE), rules(flip, _VALUE))
        yield row(*(code(_VALUE.text(cell)) for cell in cells), code(_WHOLE.text("; ".join(attributes(flip, _VALUE)))))
        shown += 1
    if left := more(impact, shown):
        yield f"\n{left}\n"
    yield from (f"\n- {code(why)}\n" for why in whys(impact, _WHOLE))
