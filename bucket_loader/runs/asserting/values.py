"""Values: whether one is the other, and how each is shown beside it."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from bucket_loader.config import Seen, Sent
from bucket_loader.model import read_time

_SHOWN_LENGTH: Final = 300  # characters


@dataclass(frozen=True)
class _Missing:
    """Stands for a value that is not there."""


MISSING: Final = _Missing()
Pair = tuple[str, Any, Any]
"""A name, and the value that it should have and the one that it has."""


def same(expected: object, found: object) -> bool:
    """Whether a value is the expected one: `5` is 5.0, and neither `"5"` nor true."""
    if isinstance(expected, list) and isinstance(found, list):
        return len(expected) == len(found) and all(map(same, expected, found))
    if _is_number(expected) and _is_number(found):
        return expected == found
    return type(expected) is type(found) and expected == found


def same_moment(expected: object, found: object) -> bool:
    """Whether a time is the expected one, however either is spelt."""
    try:
        return read_time(str(expected)) == read_time(str(found))
    except ValueError:
        return same(expected, found)


def differing(expected: Mapping[str, Any], found: Mapping[str, Any], rest: Seen | Sent) -> Iterator[Pair]:
    """Return the attributes that are not as expected: those that are named, and those that must not be there."""
    for name, value in expected.items():
        if not same(value, there := found.get(name, MISSING)):
            yield name, value, there
    unwanted = [name for name in rest.without if name in found]
    if rest.exactly:
        unwanted += [name for name in found if name not in expected and name not in unwanted]
    for name in unwanted:
        yield name, MISSING, found[name]


def shown(value: object) -> str:
    """Return a value as a person reads it."""
    if value is MISSING:
        return "nothing"
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _SHOWN_LENGTH else f"{text[: _SHOWN_LENGTH - 1]}…"


def shown_beside(value: object, other: object) -> str:
    """Return a value as it is shown beside another one: with what it is, where they look alike."""
    is_alike = str(value).lower() == str(other).lower() and not isinstance(value, list | dict | None)
    return f"{shown(value)} ({_kind(value)})" if is_alike else shown(value)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _kind(value: object) -> str:
    return "boolean" if isinstance(value, bool) else "number" if _is_number(value) else "text"
