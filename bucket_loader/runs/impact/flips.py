"""What a plan changes about a feature: in which contexts it turns on or off, gets another variant, or nobody knows."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np

from bucket_loader.model import Edition
from bucket_loader.runs.impact.columns import Column, Numbers, Truths, Unknown, Value
from bucket_loader.runs.impact.contexts import Contexts
from bucket_loader.runs.impact.definitions import Feature
from bucket_loader.runs.impact.engine import NONE, UNSURE, Answers, answers

_IDS: Final = frozenset({"company.id", "user.id"})


@dataclass(frozen=True)
class Flips:
    """What becomes of a feature in some contexts.

    Attributes:
        feature: the feature.
        contexts: the contexts.
        found: what it is in each of them, before and then after.
        on: where it turns on.
        off: where it turns off.
        variant: where it stays on, and has another variant.
        unknown: where nobody can say.
    """

    feature: Feature
    contexts: Contexts
    found: Answers
    on: Truths
    off: Truths
    variant: Truths
    unknown: Truths

    @classmethod
    def of(cls, feature: Feature, contexts: Contexts, now_ms: float, edition: Edition) -> "Flips":
        """Hold a feature against contexts, before and after."""
        found, half = answers(feature, contexts.table, now_ms, edition), contexts.count
        before, after = found.on[:half], found.on[half:]
        variants = found.variants[:half], found.variants[half:]
        stays = before & after
        unsure = found.unsure[:half] | found.unsure[half:]
        unsure |= stays & ((variants[0] == UNSURE) | (variants[1] == UNSURE))
        return cls(
            feature=feature,
            contexts=contexts,
            found=found,
            on=~unsure & ~before & after,
            off=~unsure & before & ~after,
            variant=~unsure & stays & (variants[0] != variants[1]),
            unknown=unsure,
        )

    @cached_property
    def flipped(self) -> Numbers:
        """The contexts in which it changes."""
        return np.flatnonzero(self.on | self.off | self.variant)

    def told(self, place: int) -> dict[str, Any]:
        """Return what changes in a context, as `--json` prints it."""
        half = self.contexts.count
        before, after = place, place + half
        rules, variants = self.found.rules, self.found.variants
        changed: dict[str, Any] = {
            "feature": self.feature.key,
            "companyId": self.contexts.companies[place],
            "userId": self.contexts.users[place],
            "before": bool(self.found.on[before]),
            "after": bool(self.found.on[after]),
            "rule_before": _place(rules[before]),
            "rule_after": _place(rules[after]),
            "attributes": dict(self._changed(before, after)),
        }
        if self.variant[place]:
            changed["variant"] = {"old": self._name(variants[before]), "new": self._name(variants[after])}
        return changed

    def _changed(self, before: int, after: int) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield what the rules ask for and what differs: a value that is not there is left out."""
        for name in self.found.asked:
            column = self.contexts.table.columns[name]
            old, new = column.at(before), column.at(after)
            if name not in _IDS and old != new:
                rows = {"old": before, "new": after}
                pair = {word: column.sent_at(row) for word, row in rows.items() if _is_there(column.at(row))}
                yield name.removeprefix("company."), pair

    def _name(self, variant: int) -> str | None:
        return self.feature.names[variant] if variant >= 0 else None

    def unknowns(self) -> Iterator[tuple[int, str]]:
        """Yield the contexts in which nobody can say what it is, and why."""
        for place in np.flatnonzero(self.unknown).tolist():
            row = self._where[place]
            value = self._column(self.found.why[row]).at(row)
            yield place, _why(value)

    def whys(self) -> Counter[str]:
        """Return why nobody can say what it is, and how often."""
        found = Counter[str]()
        rows = self._where[self.unknown]
        why = self.found.why[rows]
        for asked in np.unique(why).tolist():
            column = self._column(asked)
            codes, counts = np.unique(column.codes[rows[why == asked]], return_counts=True)
            for code, count in zip(codes.tolist(), counts.tolist(), strict=True):
                found[_why(column.values[code])] += count
        return found

    @cached_property
    def _where(self) -> Numbers:
        """For each context the row that says why: before where that is not known, else after."""
        half = self.contexts.count
        found: Numbers = np.arange(half) + half * (self.found.why[:half] == NONE)
        return found

    def _column(self, asked: int) -> Column:
        return self.contexts.table.columns[self.found.asked[asked]]

    def told_unknown(self, place: int, why: str) -> dict[str, Any]:
        """Return where nobody can say what it is, as `--json` prints it."""
        user = self.contexts.users[place]
        member = {} if user is None else {"userId": user}
        return {"feature": self.feature.key, "companyId": self.contexts.companies[place], **member, "why": why}


def _place(rule: int) -> int | None:
    return int(rule) if rule >= 0 else None


def _is_there(value: Value) -> bool:
    return value is not None and not isinstance(value, Unknown)


def _why(value: Value) -> str:
    assert isinstance(value, Unknown)  # noqa: S101  # only such a value is a reason
    return value.why
