"""Rules over columns: whom they match, where not all values are known.

A filter that asks for a field is evaluated once for each value that a column holds; how filters make a rule is worked
out over whole columns.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from bucket_loader.model import Edition, Filter, field_of, inner_filters
from bucket_loader.runs.impact.columns import Column, Numbers, Truths
from bucket_loader.runs.impact.definitions import Feature
from bucket_loader.runs.impact.leaves import outcomes_of_values
from bucket_loader.runs.impact.outcomes import FALSE, TRUE, Outcomes, joined, matching, negated

KNOWN_TYPES: Final = frozenset({"constant", "context", "group", "negation", "rolloutPercentage"})
NONE: Final = -1  # in the place of a rule or variant: none matches
UNSURE: Final = -2


@dataclass(frozen=True)
class Table:
    """Contexts, a row each.

    Attributes:
        rows: how many there are.
        columns: their fields; a type of filters that is not known here is a field whose values nobody knows.
        known: what comes of filters with each value of the column that they ask for, as far as it was asked.
    """

    rows: int
    columns: Mapping[str, Column]
    known: dict[str, Outcomes] = field(default_factory=dict)


@dataclass(frozen=True)
class Answers:
    """What a feature is in each of some contexts.

    Attributes:
        on: where it is on.
        unsure: where nobody can say whether it is.
        rules: the rule that turns it on; `NONE`, or `UNSURE`.
        variants: the variant that it has; likewise, and `NONE` where there are none.
        why: for what is unsure, the place in `asked` of a field that nobody knows; `NONE` elsewhere.
        asked: the fields.
    """

    on: Truths
    unsure: Truths
    rules: Numbers
    variants: Numbers
    why: Numbers
    asked: Sequence[str]


def answers(feature: Feature, table: Table, now_ms: float, edition: Edition) -> Answers:
    """Hold a feature against contexts."""
    walk = _Walk(table, now_ms, matching(is_strict=edition == "2026"))
    rules, variants = _Chosen.of(feature.rules, walk), _Chosen.of(feature.variants, walk)
    is_unsure = ~rules.must & rules.may
    has_unsure_variant = rules.must & (variants.first == UNSURE)
    asked = list(dict.fromkeys(name for node in (*feature.rules, *feature.variants) for name in asked_by(node)))
    why = np.full(table.rows, NONE, np.int64)
    for chosen, rows in ((rules, is_unsure), (variants, has_unsure_variant)):
        chosen.explain(why, rows, asked, table)
    return Answers(rules.must, is_unsure, rules.first, variants.first, why, asked)


def asked_by(node: Filter) -> Iterator[str]:
    """Yield the fields that a filter and those in it ask for; a type that is not known here is one of them."""
    if node["type"] not in KNOWN_TYPES:
        yield str(node["type"])
    if (name := field_of(node)) is not None:
        yield name
    for inner in inner_filters(node):
        yield from asked_by(inner)


@dataclass(frozen=True)
class _Chosen:
    """Which of several filters, the first one wins, each context fulfils.

    Attributes:
        filters: the filters.
        first: the first that is fulfilled; `NONE`, or `UNSURE`.
        must: where one is fulfilled for certain.
        may: where one may be.
        open: for each filter, where nobody knows whether it is fulfilled.
    """

    filters: Sequence[Filter]
    first: Numbers
    must: Truths
    may: Truths
    open: Sequence[Truths]

    @classmethod
    def of(cls, filters: Sequence[Filter], walk: "_Walk") -> "_Chosen":
        """Hold filters against contexts."""
        first = np.full(walk.table.rows, NONE, np.int64)
        must, may = (np.zeros(walk.table.rows, np.bool_) for _ in range(2))
        opened = []
        for place, node in enumerate(filters):
            outcomes = walk.outcomes(node)
            can, cannot = outcomes & walk.matches != 0, outcomes & ~np.uint8(walk.matches) != 0
            opened.append(can & cannot)
            undecided = first == NONE
            first[undecided & can & ~cannot] = place
            first[undecided & opened[-1]] = UNSURE
            must |= can & ~cannot
            may |= can
        return cls(filters, first, must, may, opened)

    def explain(self, why: Numbers, rows: Truths, asked: Sequence[str], table: Table) -> None:
        """Note for some rows a field that nobody knows, and that a filter asks for which nobody can decide."""
        if not rows.any():
            return
        for node, is_open in zip(self.filters, self.open, strict=True):
            for name in asked_by(node):
                if (unknown := table.columns[name].unknown) is not None:
                    why[rows & is_open & unknown & (why == NONE)] = asked.index(name)


@dataclass(frozen=True)
class _Walk:
    """Works out what comes of filters in the contexts of a table."""

    table: Table
    now_ms: float
    matches: int

    def outcomes(self, node: Filter) -> Outcomes:
        """Return what may come of a filter, for each row."""
        match node["type"]:
            case "group":
                inner = map(self.outcomes, node["filters"])
                return joined(inner, self.table.rows, every=node["operator"] == "and")
            case "negation":
                return negated(self.outcomes(node["filter"]))
            case "constant":
                return np.full(self.table.rows, TRUE if node["value"] else FALSE, np.uint8)
            case "context" | "rolloutPercentage":
                return self._of_field(node)
            case _:
                return np.full(self.table.rows, TRUE | FALSE, np.uint8)

    def _of_field(self, node: Filter) -> Outcomes:
        name = field_of(node)
        assert name is not None  # noqa: S101  # these two types ask for one
        column, spelt = self.table.columns[name], json.dumps(node, sort_keys=True)
        if spelt not in self.table.known:  # features ask the same, often
            self.table.known[spelt] = outcomes_of_values(node, name, column, self.now_ms)
        return column.each(self.table.known[spelt])
