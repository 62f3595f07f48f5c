"""A life as lines for a person: what each run knows of it, newest first; values are row data, so no log gets them."""

import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, groupby
from typing import Any, Final

from msgspec import UNSET

from bucket_loader.model import KINDS, counted, spoken_time
from bucket_loader.reporting.events import Lines, Listener
from bucket_loader.reporting.life.told import Appearance, Chunk, Difference, Letter, Life, Now, NowRow, RunOf

ROWS_SHOWN: Final = 20  # of events and feedback, in each run
PLANS_SHOWN: Final = 3  # that were not run, one behind the other
_ATTEMPTS_SHOWN: Final = 8
_LENGTH_MAX: Final = 200  # characters of a value
_LINE_MAX: Final = 64  # characters of a line of columns
_STATUSES: Final = {"rejected": "finished, some rows rejected", "planned": "planned, not run"}


def tell_life(listener: Listener, life: Life) -> None:
    """Show a life."""
    listener.tell(Lines(tuple(map(_visible, lines_of(life)))))


def _visible(line: str) -> str:
    """Return a line in which each sign can be seen: what would move a terminal, or is no common blank, is escaped."""
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in line)


def lines_of(life: Life) -> Iterator[str]:
    """Yield the lines of a life."""
    yield f"{life.title}, in pipeline {life.pipeline}"
    if not life.runs:
        yield "nothing is known of it here"
    yield from (f"{one.stream}: {one.text}" for one in life.remembered)
    yield from life.meant
    if life.now is not None:
        yield from _now(life.now)
    groups = [(is_planned, list(runs)) for is_planned, runs in groupby(life.runs, lambda run: run.status == "planned")]
    for is_planned, runs in groups:
        yield from _plans(runs) if is_planned else chain.from_iterable(map(_run, runs))
    yield ""
    yield from (f"looked at {place}" for place in life.looked)
    yield from life.gone


def _plans(plans: Sequence[RunOf]) -> Iterator[str]:
    """Yield plans that were not run and lie between two runs, a line each: many may lie there."""
    yield ""
    for plan in plans[:PLANS_SHOWN]:
        yield f"{run_text(plan)}: {_planned(plan)}"
    if len(plans) > PLANS_SHOWN:
        yield f"and {counted(len(plans) - PLANS_SHOWN, 'more plan')} not run: `--json` has all"


def _run(run: RunOf) -> Iterator[str]:
    yield ""
    yield run_text(run)
    brief = [row for row in run.rows if is_brief(row)]
    for row in run.rows:
        if not is_brief(row):
            yield from _row(row)
    for row in newest_first(brief)[:ROWS_SHOWN]:
        yield from _brief(row)
    if len(brief) > ROWS_SHOWN:
        yield f"  and {counted(len(brief) - ROWS_SHOWN, 'more record')}: `--json` and `--html` have all"


def _planned(run: RunOf) -> str:
    """Say what a plan that was not run would do, in a line."""
    first, *others = run.rows
    said = first.compared.text if first.compared is not None else first.fate_text
    more = f", and {counted(len(others), 'more row')}" if others else ""
    return f"{first.stream}, {place(first.origin)}: {said}{more}"


def newest_first(rows: Sequence[Appearance]) -> list[Appearance]:
    """Return events and feedback by their own time, the newest first."""
    return sorted(rows, key=lambda row: str((row.record or {}).get("timestamp", "")), reverse=True)


def is_brief(row: Appearance) -> bool:
    """Whether a row is told in short: an event or feedback to which nothing happened on its way."""
    return not KINDS[row.kind].ordered and row.fate == "delivered" and not row.letters if row.kind in KINDS else False


def _brief(row: Appearance) -> Iterator[str]:
    yield f"  {row.stream}: {' '.join(filter(None, what(row)))}, {place(row.origin)}, {row.fate_text}"


def _row(row: Appearance) -> Iterator[str]:
    yield f"  {row.stream}: {place(row.origin)}"
    if row.input is not None:
        yield from _labelled("row", _packed(row.input))
    yield from _labelled("record", (f"{one.path} = {shown(one.value)}   ({one.rule})" for one in row.fields))
    if row.left_out:
        yield f"    empty    {', '.join(row.left_out)}: left out, nothing stood there"
    if not row.are_rules_of_then:
        yield "    rules    those of today's file; the record was made by others"
    if row.compared is not None:
        yield from _labelled("compared", [row.compared.text, *map(changed, row.compared.changes or ())])
    for chunk in row.chunks:
        yield from _labelled("chunk", [chunk_text(chunk), *attempts(chunk)])
    for letter in row.letters:
        yield from _labelled("letter", letter_texts(letter))
    yield f"    ended    {row.fate_text}"


def _labelled(label: str, lines: Iterable[str]) -> Iterator[str]:
    """Yield lines under one another, the first behind a label."""
    for number, line in enumerate(lines):
        yield f"    {'' if number else label:<8} {line}"


def _packed(row: dict[str, Any]) -> Iterator[str]:
    """Yield the columns of a row, as many in a line as fit."""
    line = ""
    for name, value in row.items():
        column = f"{name}: {shown(value)}"
        if line and len(line) + len(column) > _LINE_MAX:
            yield f"{line};"
            line = ""
        line += f"; {column}" if line else column
    yield line


# --- words that the screen and the page share ------------------------------------------------------------------------


def run_text(run: RunOf) -> str:
    """Say which run it is, how it ended, and when it began."""
    began = f", {spoken_time(run.began)}" if run.began else ""
    return f"run {run.run}: {_STATUSES.get(run.status, run.status)}{began}"


def what(row: Appearance) -> tuple[str, str]:
    """Return what an event or feedback is about, and its time."""
    record = row.record or {}
    named = record.get("event") or record.get("key") or record.get("featureId") or row.kind
    return shown(named), spoken_time(record["timestamp"]) if "timestamp" in record else ""


def place(origin: dict[str, Any]) -> str:
    """Say where a row stood."""
    where = [f"row {origin['row']}"] if origin.get("row") else []
    where += [f"{word.replace('_', ' ')} {origin[word]}" for word in ("line", "sheet_row") if origin.get(word)]
    return ", ".join([str(origin["source"]), *where])


def shown(value: object) -> str:
    """Return a value as JSON, cut where it is long."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _LENGTH_MAX else f"{text[:_LENGTH_MAX]}... ({len(text):,} characters)"


def changed(one: Difference) -> str:
    """Return a field with its old and its new value."""
    old, new = ("(none)" if side is UNSET else shown(side) for side in (one.old, one.new))
    return f"{one.field}: {old} → {new}"


def chunk_text(chunk: Chunk) -> str:
    """Say what a chunk is and what became of it."""
    if chunk.folded is not None:
        return f"one of {chunk.folded:,} that are folded (of a large run, or older than `keep:`): {chunk.state}"
    name = f"number {chunk.number:,}, " if chunk.number is not None else ""
    since = f", set aside since {spoken_time(chunk.aside)}" if chunk.aside is not None else ""
    ends = "cut into parts" if chunk.state == "split" else chunk.state
    return f"{name}records {chunk.members}: {ends} after {counted(chunk.attempts, 'attempt')}{since}"


def attempts(chunk: Chunk) -> Iterator[str]:
    """Yield the attempts of a chunk, a line each; of many the first and the last."""
    tried, left = chunk.tried, 0
    if len(tried) > _ATTEMPTS_SHOWN:
        left = len(tried) - _ATTEMPTS_SHOWN
    for number, one in enumerate(tried):
        if number < _ATTEMPTS_SHOWN // 2 or number >= len(tried) - _ATTEMPTS_SHOWN // 2:
            status = one.status if one.status is not None else "no answer"
            yield f"{spoken_time(one.at)}: {status}, after {one.seconds:.3f} s"
        elif left:
            yield f"and {counted(left, 'more')} between them"
            left = 0


def letter_texts(letter: Letter) -> Sequence[str]:
    """Say what a dead letter says, and who took it up again."""
    reasons = "; ".join(f"{one['message']} ({one['code']})" for one in letter.reasons)
    found = [f"rejected ({letter.stage}) {spoken_time(letter.at)}: {reasons}"]
    return [*found, f"taken up again by run {letter.replayed}"] if letter.replayed is not None else found


# --- what a run would do now -----------------------------------------------------------------------------------------


def _now(now: Now) -> Iterator[str]:
    yield ""
    yield f"a run now, of stream {now.stream}: {counted(now.read, 'row')} read"
    for row in now.rows:
        yield from _now_row(row)
    yield from (f"  {note}" for note in now.notes)


def _now_row(row: NowRow) -> Iterator[str]:
    yield f"  {place(row.origin)}: {row.text}"
    yield from (f"    {one['message']} ({one['code']})" for one in row.reasons)
    yield from (f"    {changed(one)}" for one in row.changes or ())
    if row.input is not None:
        yield from _labelled("row", _packed(row.input))
