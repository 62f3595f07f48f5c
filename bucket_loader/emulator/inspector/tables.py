"""What was sent, as tables: a row for each user, company, event, feedback, call and refusal, a column for each field.

A table is read from a place on, and goes through what is kept in the order in which it came; calls and refusals begin
with the latest. A row that a filter leaves out is passed over, and costs as little as can be.
"""

import csv
import io
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from itertools import islice
from typing import Any, Final, NamedTuple, TypeAlias

import msgspec

from bucket_loader.emulator.environment import Environment
from bucket_loader.emulator.inspector.pace import Pace
from bucket_loader.emulator.inspector.views import Cells, Rows, time_text
from bucket_loader.emulator.store import wire
from bucket_loader.emulator.store.effects import BULK
from bucket_loader.emulator.store.journal import Entry
from bucket_loader.emulator.store.requests_log import LATEST_CALLS, Noted
from bucket_loader.emulator.store.store import Company, Seen, User
from bucket_loader.model import COMPANY, EVENT, FEEDBACK, USER

_ATTRIBUTES: Final = "attributes"
_COLUMNS_MAX: Final = 500  # of a CSV; the page shows fewer
_TOGETHER: Final = 256  # rows that are passed over before the clock is looked at
_CSV_PIECE: Final = 65_536  # characters
_BROKEN: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
# Values stay as they were written.
_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_text = msgspec.json.Decoder(str).decode


class Place(NamedTuple):
    """Where a table goes on: how many calls or rows came before, and how many items of the next call."""

    rows: int = 0
    items: int = 0


class Row(NamedTuple):
    """One row of a table; None for the cells where the filter leaves it out.

    Attributes:
        next: where the table goes on after it.
        cells: text by column.
    """

    next: Place
    cells: Cells | None


Table: TypeAlias = Callable[[Environment, Place, str], Iterator[Row]]


async def rows(environment: Environment, table: str, text: str, after: Place, limit: int) -> Rows:
    """Return rows of a table, and where it goes on.

    Args:
        environment: where.
        table: its name.
        text: what a row has to hold somewhere, whatever the case; empty for all.
        after: where to begin.
        limit: the most rows to return.
    """
    pace, place, found, is_complete = Pace(), after, list[Cells](), True
    for passed, row in enumerate(TABLES[table](environment, after, text.lower()), 1):
        place = row.next
        if row.cells is not None:
            found.append(row.cells)
        if len(found) == limit or (passed % _TOGETHER == 0 and not await pace.goes_on()):
            is_complete = False
            break
    total = total_of(environment, table)
    is_complete = is_complete or (place.rows >= total and not place.items)
    return Rows(
        next=f"{place.rows}.{place.items}",
        is_complete=is_complete,
        seen=total if is_complete else min(place.rows, total),
        total=total,
        columns=list(dict.fromkeys(column for cells in found for column in cells)),
        rows=found,
        rows_total=None if text else _rows_total(environment, table, total),
        left_out=_left_out(environment, table),
    )


async def as_csv(environment: Environment, table: str, text: str) -> AsyncIterator[str]:
    """Yield a whole table as CSV, some lines at a time; its columns are looked for first."""
    pace, columns = Pace(), dict[str, None]()
    async for cells in _all(environment, table, text, pace):
        for column in cells:
            if len(columns) < _COLUMNS_MAX:
                columns[column] = None
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, list(columns), extrasaction="ignore")
    writer.writeheader()
    async for cells in _all(environment, table, text, pace):
        writer.writerow(cells)
        if buffer.tell() >= _CSV_PIECE:
            yield buffer.getvalue()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue()


async def _all(environment: Environment, table: str, text: str, pace: Pace) -> AsyncIterator[Cells]:
    """Yield all rows that the filter leaves, with turns for others between; a reset meanwhile ends it."""
    store = environment.store
    for number, row in enumerate(TABLES[table](environment, Place(), text.lower())):
        if row.cells is not None:
            yield row.cells
        if number % _TOGETHER == 0:
            await pace.let_others()
            if environment.store is not store:
                return


class _Wanted:
    """What the rows of a table have to hold: a look at the bytes leaves out most of them, and the cells decide."""

    def __init__(self, text: str) -> None:
        self._text = text
        # Other letters have their capitals and may be escaped; numbers may be in times and counts, which no item holds.
        self._bytes = text.encode() if text.isascii() and not text[:1].isdecimal() else b""

    def may_be_in(self, item: bytes) -> bool:
        """Whether the cells of an item can hold it."""
        return self._bytes in item.lower() or b"\\" in item

    def kept(self, cells: Cells) -> Cells | None:
        """Return the cells where one of them holds it."""
        is_there = not self._text or any(self._text in value.lower() for value in cells.values() if value is not None)
        return cells if is_there else None


# --- users and companies -------------------------------------------------------------------------------------------


def _users(environment: Environment, after: Place, text: str) -> Iterator[Row]:
    return _kept(environment.store.users, after, text, _user)


def _companies(environment: Environment, after: Place, text: str) -> Iterator[Row]:
    return _kept(environment.store.companies, after, text, _company)


def _kept(all_of: Mapping[str, Seen], after: Place, text: str, make: Callable[[Any], Cells]) -> Iterator[Row]:
    """Yield users or companies from a place on, in order; more may come meanwhile, so they are taken some at a time."""
    place, wanted = after.rows, _Wanted(text)
    while some := list(islice(all_of.values(), place, place + _TOGETHER * 8)):
        for seen in some:
            place += 1
            may_be = text in seen.id.lower() or wanted.may_be_in(seen.attributes) or _is_in_companies(text, seen)
            yield Row(Place(place), wanted.kept(make(seen)) if may_be else None)


def _is_in_companies(text: str, seen: Seen) -> bool:
    return isinstance(seen, User) and any(text in company.lower() for company in seen.companies)


def _user(user: User) -> Cells:
    return {
        "userId": user.id,
        **_flat(user.attributes),
        "companies": ", ".join(user.companies),
        "default company": user.default_company or "",
        **_activity(user),
    }


def _company(company: Company) -> Cells:
    return {
        "companyId": company.id,
        **_flat(company.attributes),
        "users": str(len(company.users)),
        **_activity(company),
    }


def _activity(seen: Seen) -> Cells:
    times = {"first seen": seen.first_ms, "last seen": seen.last_ms}
    known = {name: "" if moment is None else time_text(moment) for name, moment in times.items()}
    return {"events": str(seen.events), **known}


def _flat(attributes: bytes) -> Cells:
    return {f"{_ATTRIBUTES}.{name}": _cell(value) for name, value in _read(attributes).items()}


# --- events and feedback -------------------------------------------------------------------------------------------


def _sent(kind: str) -> Table:
    """Return the table of the records of one type, as they were sent."""

    def table(environment: Environment, after: Place, text: str) -> Iterator[Row]:
        done, wanted, type_of_items = after.items, _Wanted(text), _Wanted(kind)
        for place, call in environment.journal.after(after.rows):
            has_some = call.type == kind or (call.type == BULK and type_of_items.may_be_in(call.body))
            items = wire.split(call.body)[done:] if has_some else []
            for index, item in enumerate(items, done + 1):
                is_last = index == done + len(items)
                may_be = (call.type == kind or type_of_items.may_be_in(item)) and wanted.may_be_in(item)
                yield Row(
                    Place(place) if is_last else Place(place - 1, index),
                    _of_kind(kind, call, item, wanted) if may_be else None,
                )
            if not items:
                yield Row(Place(place), None)
            done = 0

    return table


def _of_kind(kind: str, call: Entry, item: bytes, wanted: _Wanted) -> Cells | None:
    """Return the fields of a record, then its attributes; nothing of one of another kind."""
    members = _read(item)
    attributes, named = members.pop(_ATTRIBUTES, None), members.pop("type", None)
    if call.type != kind and (named is None or _cell(named) != kind):
        return None
    fields = {name: _cell(value) for name, value in members.items()}
    return wanted.kept({"at": time_text(call.at_ms), **fields, **_flat(b"{}" if attributes is None else attributes)})


# --- calls and refusals --------------------------------------------------------------------------------------------


def _requests(environment: Environment, after: Place, text: str) -> Iterator[Row]:
    return _listed([_call(noted) for noted in environment.log.latest(LATEST_CALLS)], after, text)


def _rejected(environment: Environment, after: Place, text: str) -> Iterator[Row]:
    """Yield what Bucket refused and what the loader itself rejected, the latest first."""
    refused = environment.log.latest(LATEST_CALLS, only_refused=True)
    found = [*_by_the_loader(environment), *(cells for noted in refused for cells in _by_bucket(noted))]
    found.sort(key=lambda cells: cells["at"] or "", reverse=True)
    return _listed(found, after, text)


def _call(noted: Noted) -> Cells:
    return {
        "request": str(noted.request),
        "at": time_text(noted.at_ms),
        "method": noted.method,
        "path": noted.path,
        "status": "cut" if noted.status is None else str(noted.status),
        "records": "" if noted.records is None else str(noted.records),
        "fault": noted.fault or "",
        "error": noted.error or "",
    }


def _by_bucket(noted: Noted) -> Iterator[Cells]:
    """Yield one row for each mistake of a call that was refused."""
    told = [(wrong.message, wrong.item) for wrong in noted.wrong] or [(noted.error or "", None)]
    for message, item in told:
        field, colon, rest = message.partition(": ")
        is_field = bool(colon) and " " not in field
        yield {
            "at": time_text(noted.at_ms),
            "by": "Bucket",
            "where": f"request {noted.request}",
            "field": field if is_field else "",
            "reason": rest if is_field else message,
            "what": item or "",
        }


def _by_the_loader(environment: Environment) -> Iterator[Cells]:
    for letter in environment.letters().rejected:
        yield {
            "at": letter.at,
            "by": "the loader",
            "where": f"{letter.stream}: {letter.source}, {letter.place}",
            "field": ", ".join(dict.fromkeys(reason.field for reason in letter.reasons if reason.field)),
            "reason": "; ".join(reason.message for reason in letter.reasons),
            "what": letter.row,
        }


def _listed(found: list[Cells], after: Place, text: str) -> Iterator[Row]:
    wanted = _Wanted(text)
    for place, cells in enumerate(found[after.rows :], after.rows + 1):
        yield Row(Place(place), wanted.kept(cells))


def _read(item: bytes | msgspec.Raw) -> dict[str, msgspec.Raw]:
    """Return the members of an object, as they were written; of what is none, and of what cannot be read, nothing."""
    try:
        return _members(item)
    except _BROKEN:
        return {}


def _cell(value: msgspec.Raw) -> str | None:
    """Return a value as the text of a cell: a text without its quotes, anything else as it was written."""
    written = bytes(value)
    if written == b"null":
        return None
    try:
        return _text(written) if written[:1] == b'"' else written.decode()
    except _BROKEN:
        return written.decode(errors="replace")


def total_of(environment: Environment, table: str) -> int:
    """Return how much there is to look at: rows, or calls of which each may bring many."""
    store = environment.store
    totals: dict[str, Callable[[], int]] = {
        USER.plural: lambda: len(store.users),
        COMPANY.plural: lambda: len(store.companies),
        "requests": lambda: len(environment.log.latest(LATEST_CALLS)),
        "rejected": lambda: sum(1 for _ in _rejected(environment, Place(), "")),
    }
    return totals.get(table, environment.journal.end)()


def _left_out(environment: Environment, table: str) -> int:
    """Return how many calls or rejected rows are too old to be kept."""
    log = environment.log
    if table == "requests":
        return log.requests - len(log.latest(LATEST_CALLS))
    if table == "rejected":
        refused, letters = log.latest(LATEST_CALLS, only_refused=True), environment.letters()
        return log.refused - len(refused) + max(0, letters.total - len(letters.rejected))
    return 0


def _rows_total(environment: Environment, table: str, total: int) -> int | None:
    """Return how many rows there are: calls that brought events or feedback are as many as they like."""
    known = {EVENT.plural: environment.store.counts[EVENT.plural], FEEDBACK.plural: None}
    return known.get(table, total)


TABLES: Final[dict[str, Table]] = {
    USER.plural: _users,
    COMPANY.plural: _companies,
    EVENT.plural: _sent(EVENT.wire),
    FEEDBACK.plural: _sent(FEEDBACK.wire),
    "requests": _requests,
    "rejected": _rejected,
}
