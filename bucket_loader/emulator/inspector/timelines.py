"""What arrived for one user or company, in order, and which of it each attribute is from."""

import re
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from bucket_loader.emulator.environment import Environment
from bucket_loader.emulator.inspector.pace import Pace
from bucket_loader.emulator.inspector.views import Arrived, Kind, LastSet, Origins, Timeline, time_text
from bucket_loader.emulator.store import wire
from bucket_loader.emulator.store.effects import BULK
from bucket_loader.emulator.store.journal import Entry
from bucket_loader.emulator.store.store import id_text
from bucket_loader.model import KINDS

_TEXT_CHARACTERS_MAX: Final = 4_000


class _Named(msgspec.Struct, gc=False):
    """What says whom a record is about. Anything may stand in a field that its type does not have."""

    type: Any = None
    userId: Any = None  # noqa: N815  # named as the API names it
    companyId: Any = None  # noqa: N815
    evalContext: Any = None  # noqa: N815


_NAMED: Final = msgspec.json.Decoder(_Named)
_NAMED_LIST: Final = msgspec.json.Decoder(list[_Named])
_EXPONENT: Final = re.compile(rb"[0-9][eE]")
_BROKEN: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


async def timeline(
    environment: Environment, kind: Kind, identifier: str, after: tuple[int, int], limit: int
) -> Timeline:
    """Return what arrived for a user or company, in order.

    Args:
        environment: where.
        kind: which of the two.
        identifier: its id.
        after: the place of a call in the journal, and how many items of the next one are done.
        limit: the most items to return.
    """
    pace, wanted = Pace(), _Wanted(kind, identifier)
    (place, done), items = after, list[Arrived]()
    for number, call in environment.journal.after(place):
        for index in wanted.places(call):
            if index >= done:
                items.append(_arrived(call, index))
                if len(items) == limit:
                    return _timeline(environment, (place, index + 1), items)
        place, done = number, 0
        if not await pace.goes_on():
            break
    return _timeline(environment, (place, done), items)


def _timeline(environment: Environment, reached: tuple[int, int], items: list[Arrived]) -> Timeline:
    (place, done), total = reached, environment.journal.end()
    return Timeline(
        next=f"{place}.{done}", is_complete=place >= total, seen=min(place, total), total=total, items=items
    )


class _Wanted:
    def __init__(self, kind: Kind, identifier: str) -> None:
        self._field = KINDS[kind].subject
        self._kind = kind
        self._id = identifier
        self._bytes = identifier.encode(errors="replace")
        self._is_number = identifier.lstrip("-")[:1].isdecimal()

    def places(self, call: Entry) -> list[int]:
        """Return the items of a call that name it."""
        body = call.body
        if self._bytes not in body and b"\\" not in body and not (self._is_number and _EXPONENT.search(body)):
            return []
        return [index for index, named in enumerate(_named(body)) if self._is_named(named)]

    def _is_named(self, named: _Named) -> bool:
        context = named.evalContext
        if isinstance(context, dict):
            inner = context.get(self._kind)
            named_in_context = inner.get("id") if isinstance(inner, dict) else context.get(f"{self._kind}.id")
            if self._is_it(named_in_context):
                return True
        return self._is_it(getattr(named, self._field))

    def _is_it(self, value: object) -> bool:
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            return False
        return id_text(value) == self._id


def _named(body: bytes) -> list[_Named]:
    """Read whom the items of a body name; of one that cannot be read, nobody."""
    try:
        return _NAMED_LIST.decode(body) if body.lstrip()[:1] == b"[" else [_NAMED.decode(body)]
    except _BROKEN:
        return [_one_named(item) for item in wire.split(body)]


def _one_named(item: bytes) -> _Named:
    try:
        return _NAMED.decode(item)
    except _BROKEN:
        return _Named()


def _arrived(call: Entry, index: int) -> Arrived:
    item = wire.split(call.body)[index]
    kind = str(_one_named(item).type) if call.type == BULK else call.type
    return Arrived(call.request, time_text(call.at_ms), kind, cut(item))


def cut(item: bytes) -> str:
    """Return a text that is short enough to show."""
    text = item[: _TEXT_CHARACTERS_MAX * 4].decode(errors="replace")
    return text if len(text) <= _TEXT_CHARACTERS_MAX else text[:_TEXT_CHARACTERS_MAX] + "…"


# --- where an attribute is from ------------------------------------------------------------------------------------


async def origins(environment: Environment, kind: Kind, identifier: str, after: int) -> Origins:
    """Return which record last set each attribute of a user or company, as far as this look came.

    Args:
        environment: where.
        kind: which of the two.
        identifier: its id.
        after: how many calls were looked at already; what later ones set goes before what was found there.
    """
    pace, wanted, place, total = Pace(), _Wanted(kind, identifier), after, environment.journal.end()
    found: dict[str, LastSet] = {}
    for reached, call in environment.journal.after(after):
        place = reached
        for arrived, names in _setting(call, wanted, kind):
            found |= dict.fromkeys(names, arrived)
        if not await pace.goes_on():
            break
    return Origins(next=str(place), is_complete=place >= total, seen=min(place, total), total=total, attributes=found)


def _setting(call: Entry, wanted: "_Wanted", kind: Kind) -> Iterator[tuple[LastSet, list[str]]]:
    """Yield the records of a call that set attributes of what is wanted, with the names of these."""
    items = wire.split(call.body)
    for index in wanted.places(call):
        item = _setting_of(items[index])
        if isinstance(item.attributes, dict) and kind == (item.type if call.type == BULK else call.type):
            yield LastSet(call.request, time_text(call.at_ms)), list(item.attributes)


def _setting_of(item: bytes) -> "_Setting":
    try:
        return _SET.decode(item)
    except _BROKEN:
        return _Setting()


class _Setting(msgspec.Struct):
    type: Any = None
    attributes: Any = None


_SET: Final = msgspec.json.Decoder(_Setting)
