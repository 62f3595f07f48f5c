"""Some of the predictions, chosen by their ids alone: what changes comes before what stays."""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import md5
from typing import Final

import numpy as np

from bucket_loader.runs.impact.columns import Numbers
from bucket_loader.runs.impact.engine import UNSURE
from bucket_loader.runs.impact.flips import Flips

_STAYING: Final = 32  # of what stays as it is, so many of each block may be chosen


@dataclass(frozen=True)
class Answer:
    """What a feature is in a context.

    Attributes:
        is_on: whether it is on.
        variant: its variant; None where it has none.
        knows_variant: whether that is known.
    """

    is_on: bool
    variant: str | None = None
    knows_variant: bool = True


@dataclass(frozen=True, order=True)
class Prediction:
    """A prediction of what the API answers.

    Attributes:
        rank: the smallest ones are chosen.
        feature: the feature.
        company: the company; None for a user who is in none.
        user: the user; None where a company is looked at alone.
        before: the answer before the plan is sent.
        after: the answer after it.
    """

    rank: tuple[bool, bytes]
    feature: str = field(compare=False)
    company: str | None = field(compare=False)
    user: str | None = field(compare=False)
    before: Answer = field(compare=False)
    after: Answer = field(compare=False)


class Samples:
    """The predictions that were chosen so far."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._chosen: list[Prediction] = []

    def take(self, flips: Flips) -> None:
        """Choose among the contexts of a feature."""
        if not self._most:
            return
        stays = np.flatnonzero(~(flips.unknown | flips.on | flips.off | flips.variant))
        found = [*_predictions(flips, flips.flipped, stays=False), *_predictions(flips, stays[:_STAYING], stays=True)]
        self._chosen = heapq.nsmallest(self._most, [*self._chosen, *found])

    def kept(self) -> Sequence[Prediction]:
        """Return what was chosen."""
        return self._chosen


def _predictions(flips: Flips, places: Numbers, *, stays: bool) -> list[Prediction]:
    found = []
    for place in places.tolist():
        company, user = flips.contexts.companies[place], flips.contexts.users[place]
        digest = md5(f"{flips.feature.key} {company} {user}".encode(), usedforsecurity=False).digest()
        before, after = (_answer(flips, row) for row in (place, place + flips.contexts.count))
        found.append(Prediction((stays, digest), flips.feature.key, company, user, before, after))
    return found


def _answer(flips: Flips, row: int) -> Answer:
    variant = flips.found.variants[row]
    name = flips.feature.names[variant] if variant >= 0 else None
    return Answer(bool(flips.found.on[row]), name, knows_variant=bool(variant != UNSURE))
