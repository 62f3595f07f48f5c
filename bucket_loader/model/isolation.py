"""Which parts a refused chunk is cut into. Pure: positions in, positions out; no verdict is passed here.

What the answer names is a hint, never a verdict: the named are tried alone, and the rest is sent again without them.
Without a usable hint the chunk is halved.
"""

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, Final

# An index as the answers spell it: `[17].userId`, `17.userId`, `/17/userId`.
_INDEX: Final = re.compile(r"(?:^|[\s\"'(,:])(?:\[(\d{1,6})\]|/(\d{1,6})(?=/|$|\s)|(\d{1,6})(?=\.[A-Za-z]))")
NAMED_SHARE_MAX: Final = 0.5  # more named than this, and halving is as cheap as trying each


def parts_of(count: int, details: dict[str, Any] | None, *, in_order: bool = False) -> list[list[int]]:
    """Cut a refused chunk of `count` records (at least two) into parts, by position; together they are all of it.

    Args:
        count: records of the chunk.
        details: the server's own words.
        in_order: the parts, one after another, keep the records' order: the last of a user or company stays last, also
            when the hint is wrong.
    """
    named = sorted({index for index in _named(details) if index < count})
    if not named or len(named) > count * NAMED_SHARE_MAX:
        return halves(count)
    if not in_order:
        rest = [position for position in range(count) if position not in set(named)]
        return [rest, *([position] for position in named)]
    ends = sorted({0, count, *named, *(index + 1 for index in named)})
    return [list(range(first, end)) for first, end in pairwise(ends)]


def halves(count: int) -> list[list[int]]:
    """Cut in two."""
    middle = count // 2
    return [list(range(middle)), list(range(middle, count))]


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
