"""How a refused chunk is cut: always in two, so that what the first part comes to says how to go on with the second.

What an answer names is a hint, never a verdict: a named record is tried alone, before anything relies on it. When it
passes, the hint was false, and the rest is halved as if there had been none.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

# An index as the answers spell it: `[17].userId`, `17.userId`, `/17/userId`.
_INDEX: Final = re.compile(r"(?:^|[\s\"'(,:])(?:\[(\d{1,6})\]|/(\d{1,6})(?=/|$|\s)|(\d{1,6})(?=\.[A-Za-z]))")
NAMED_SHARE_MAX: Final = 0.5  # more named than this, and halving is as cheap as trying each


@dataclass(frozen=True, slots=True)
class Cut:
    """A chunk in two, by position.

    Attributes:
        first: what is tried first.
        second: all others.
        alone: whether the first is a record that the answer named.
        named: what else it named, as positions in the second.
    """

    first: list[int]
    second: list[int]
    alone: bool = False
    named: tuple[int, ...] = ()


def cut(count: int, named: tuple[int, ...] = (), *, in_order: bool = False, proven: bool = False) -> Cut:
    """Cut a chunk of `count` records, at least two, in two that are neither empty.

    Args:
        count: records of the chunk.
        named: positions that an answer named, in order; without any the chunk is halved.
        in_order: the parts, one after another, keep the records' order: the last of a user or company stays last, also
            when the hint is wrong.
        proven: whether the hint was right of one record: then those that it does not name come before the others that
            it does.
    """
    if not named:
        middle = count // 2
        return Cut(list(range(middle)), list(range(middle, count)))
    place = named[0]
    if place and in_order:
        return Cut(list(range(place)), list(range(place, count)), named=tuple(other - place for other in named))
    if proven and not in_order and len(named) < count:
        unnamed = [position for position in range(count) if position not in set(named)]
        return Cut(unnamed, list(named), named=tuple(range(len(named))))
    others = [position for position in range(count) if position != place]
    return Cut([place], others, alone=True, named=tuple(other - 1 for other in named[1:]))


def named_in(details: dict[str, Any] | None, count: int) -> tuple[int, ...]:
    """Return which positions of a chunk the server's own words name; none when they name too many to be of use."""
    named = sorted({index for index in _named(details) if index < count})
    return tuple(named) if len(named) <= count * NAMED_SHARE_MAX else ()


def _named(details: object) -> Iterator[int]:
    for text in _texts(details):
        for match in _INDEX.finditer(text):
            yield int(next(group for group in match.groups() if group is not None))


def _texts(details: object) -> Iterator[str]:
    if isinstance(details, str):
        yield details
    elif isinstance(details, dict):
        for value in details.values():
            yield from _texts(value)
    elif isinstance(details, list):
        for value in details:
            yield from _texts(value)
