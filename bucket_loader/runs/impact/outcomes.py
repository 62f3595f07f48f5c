"""What a filter may come to where not all is known: a set of outcomes, as the bits of a number.

An outcome is whether the filter holds, and whether it or one in it met an error on the way: the edition of 2026 asks
for both. A set of one outcome is known. The walk through a group is that of `model.evaluation`: what comes after the
filter that decides is not asked, and its errors are not met.
"""

from collections.abc import Iterable
from itertools import product
from typing import Final

import numpy as np

Outcomes = np.ndarray[tuple[int], np.dtype[np.uint8]]
"""For each row the set of what may come of a filter."""
_SETS: Final = 16


def _bit(*, holds: bool, errs: bool) -> int:
    return 1 << (2 * errs + holds)


FALSE: Final = _bit(holds=False, errs=False)
TRUE: Final = _bit(holds=True, errs=False)
FAILED: Final = _bit(holds=False, errs=True)
_HOLDS: Final = TRUE | _bit(holds=True, errs=True)
_ALL: Final = tuple(product((False, True), (False, True)))


def _members(outcomes: int) -> Iterable[tuple[bool, bool]]:
    return [(holds, errs) for holds, errs in _ALL if outcomes & _bit(holds=holds, errs=errs)]


def _and_then(walked: int, inner: int, *, every: bool) -> int:
    """Return what a walk may have come to after one more filter: it goes on while each was `every`."""
    found = 0
    for holds, errs in _members(walked):
        if holds is not every:
            found |= _bit(holds=holds, errs=errs)
            continue
        for one_holds, one_errs in _members(inner):
            found |= _bit(holds=one_holds, errs=errs or one_errs)
    return found


def _walk(*, every: bool) -> Outcomes:
    pairs = product(range(_SETS), repeat=2)
    return np.array([_and_then(walked, inner, every=every) for walked, inner in pairs], np.uint8)


_AND: Final = _walk(every=True)
_OR: Final = _walk(every=False)
_NOT: Final = np.array(
    [sum(_bit(holds=not holds, errs=errs) for holds, errs in _members(one)) for one in range(_SETS)], np.uint8
)


def joined(filters: Iterable[Outcomes], rows: int, *, every: bool) -> Outcomes:
    """Return what comes of a group: all of its filters must hold, or any."""
    table = _AND if every else _OR
    found = np.full(rows, TRUE if every else FALSE, np.uint8)
    for one in filters:
        found = table[found * np.uint8(_SETS) + one]
    return found


def negated(outcomes: Outcomes) -> Outcomes:
    """Return what comes of a filter that must not hold."""
    return _NOT[outcomes]


def matching(*, is_strict: bool) -> int:
    """Return the outcomes with which a rule matches: an error makes it false in the strict edition, that of 2026."""
    return TRUE if is_strict else _HOLDS
