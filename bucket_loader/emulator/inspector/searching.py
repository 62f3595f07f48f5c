"""Finding users and companies by id, or by anything in their attributes."""

from itertools import islice
from typing import Any, Final

import msgspec

from bucket_loader.emulator.environment import Environment
from bucket_loader.emulator.inspector.pace import Pace
from bucket_loader.emulator.inspector.views import Found, Search, time_text
from bucket_loader.emulator.store.store import Seen, User
from bucket_loader.model import COMPANY, USER

_ROWS_TOGETHER: Final = 5_000


async def search(environment: Environment, text: str, after: int, limit: int) -> Search:
    """Look for companies and users by id, or by anything in their attributes; an exact id comes first.

    Args:
        environment: where.
        text: what to look for; upper and lower case are the same.
        after: how many were looked at already, companies first.
        limit: the most to return, beside those with this very id.
    """
    pace, store = Pace(), environment.store
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
