"""Looks into a store that may hold millions: each stops after a moment, says how far it came, and can go on later.

Nothing here is indexed, since an index would cost every accepted record something and nobody may ever look. Between
slices of a look the calls of the API have their turn.
"""

import asyncio
import re
import time
from collections.abc import Mapping
from itertools import islice
from typing import Any, Final

import msgspec

from bucket_loader.emulator.environment import Environment
from bucket_loader.emulator.evaluation import evaluated
from bucket_loader.emulator.evaluation.features import Feature
from bucket_loader.emulator.inspector.views import Arrived, Found, Holder, Holders, Kind, Search, Timeline, time_text
from bucket_loader.emulator.store import wire
from bucket_loader.emulator.store.effects import BULK
from bucket_loader.emulator.store.journal import Entry
from bucket_loader.emulator.store.store import Company, Seen, User, id_text
from bucket_loader.model import COMPANY, KINDS, USER

_LOOK_S_MAX: Final = 0.25
_SLICE_S_MAX: Final = 0.02
_ROWS_TOGETHER: Final = 5_000
_HOLDERS_TOGETHER: Final = 50
_TEXT_CHARACTERS_MAX: Final = 4_000


class _Pace:
    """Lets the calls of the API have their turn, and ends a look in time."""

    def __init__(self) -> None:
        self._turn_s = self._start_s = time.monotonic()

    async def goes_on(self) -> bool:
        """Whether there is time for more; at least one thing is always looked at."""
        now_s = time.monotonic()
        if now_s - self._turn_s > _SLICE_S_MAX:
            await asyncio.sleep(0)
            self._turn_s = time.monotonic()
        return now_s - self._start_s < _LOOK_S_MAX


# --- the timeline --------------------------------------------------------------------------------------------------


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
    pace, wanted = _Pace(), _Wanted(kind, identifier)
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


# --- search --------------------------------------------------------------------------------------------------------


async def search(environment: Environment, text: str, after: int, limit: int) -> Search:
    """Look for companies and users by id, or by anything in their attributes; an exact id comes first.

    Args:
        environment: where.
        text: what to look for; upper and lower case are the same.
        after: how many were looked at already, companies first.
        limit: the most to return, beside those with this very id.
    """
    pace, store = _Pace(), environment.store
    exact = [store.companies.get(text), store.users.get(text)]
    found = [_found(seen, is_exact=True) for seen in exact if seen is not None and after == 0]
    limit += len(found)
    place, in_id, in_attributes = after, text.lower(), text.encode(errors="replace").lower()
    total = len(store.companies) + len(store.users)
    while place < total and len(found) < limit and await pace.goes_on():
        for seen in _from(environment, place):
            place += 1
            is_like = in_id in seen.id.lower() or in_attributes in seen.attributes.lower()
            if is_like and seen.id != text:
                found.append(_found(seen, is_exact=False))
                if len(found) >= limit:
                    break
    return Search(next=str(place), is_complete=place >= total, seen=min(place, total), total=total, found=found)


def _from(environment: Environment, place: int) -> list[Seen]:
    """Return the next companies, or where there are no more, users; as a list, since more may come meanwhile."""
    companies = environment.store.companies
    if place < len(companies):
        return list(islice(companies.values(), place, place + _ROWS_TOGETHER))
    place -= len(companies)
    return list(islice(environment.store.users.values(), place, place + _ROWS_TOGETHER))


def _found(seen: Seen, *, is_exact: bool) -> Found:
    last_seen = None if seen.last_ms is None else time_text(seen.last_ms)
    kind = (USER if isinstance(seen, User) else COMPANY).name
    return Found(kind, seen.id, name(seen), seen.events, last_seen, is_exact)


class _Called(msgspec.Struct):
    name: Any = None
    email: Any = None


_CALLED: Final = msgspec.json.Decoder(_Called)


def name(seen: Seen) -> str | None:
    """Return what a person would call it. Source of the attributes: DOC, NODE README."""
    called = _CALLED.decode(seen.attributes)
    for value in (called.name, called.email):
        if isinstance(value, str) and value:
            return value[:200]
    return None


# --- who has a feature ---------------------------------------------------------------------------------------------


async def holders(environment: Environment, feature: Feature, kind: Kind, after: int, limit: int) -> Holders:
    """Hold a feature against the companies, or against the users, each in its default company.

    Args:
        environment: where.
        feature: what they may have.
        kind: which of the two.
        after: how many were looked at already.
        limit: the most to name before the look ends; 0 to count only.
    """
    pace, store, edition, now_ms = _Pace(), environment.store, environment.edition, time.time() * 1000
    all_of: Mapping[str, User | Company] = store.users if kind == USER.name else store.companies
    place, have, items = after, 0, list[Holder]()
    total = len(all_of)
    while place < total and not (limit and len(items) == limit) and await pace.goes_on():
        for seen in list(islice(all_of.values(), place, place + _HOLDERS_TOGETHER)):
            place += 1
            context = evaluated.context_of(seen)
            fields = {**evaluated.remembered(store, context, edition), **context}
            answer = evaluated.entry(feature, fields, now_ms, edition, store.opt_ins)
            if answer["isEnabled"]:
                have += 1
                if limit:
                    items.append(Holder(seen.id, name(seen), answer.get("config", {}).get("key")))
                    if len(items) == limit:
                        break
    return Holders(
        next=str(place),
        is_complete=place >= total,
        seen=min(place, total),
        total=total,
        items=items,
        checked=max(0, place - after),
        have=have,
    )
