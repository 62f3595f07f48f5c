"""Decides which rules of a feature a context fulfils. Pure: no store, no HTTP, and the clock is given.

Source: FE 0.2.1 (every rule here), S3 (the five kinds of filter); API.md section 7 is the summary. Filters are taken as
GET /features has them; `features` has checked their shape.
"""

import hashlib
import math
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from bucket_loader.model.evaluation import dates, javascript

Filter: TypeAlias = Mapping[str, Any]
Context: TypeAlias = Mapping[str, str]

_HASH_BITS: Final = 0xFFFFF
_HASH_SCALE: Final = 100_000  # S0 and FE; S3 says 10000 (C3)


@dataclass(frozen=True)
class Evaluation:
    """What came of a list of rules.

    Attributes:
        results: one for each rule, also for those after the first that matched.
        missing: the fields that rules asked for and the context lacks, each once, in the order they were asked for.
    """

    results: list[bool]
    missing: list[str]

    @property
    def matched(self) -> int | None:
        """Return the index of the first rule that is fulfilled."""
        return self.results.index(True) if True in self.results else None


def evaluate(rules: Sequence[Filter], context: Context, now_ms: float) -> Evaluation:
    """Hold every rule against a flat context.

    Args:
        rules: the filter of each rule, or of each variant.
        context: field by dotted name, as `flatten` returns it.
        now_ms: milliseconds since the epoch, for rules about days ago.
    """
    question = _Question(context, now_ms, {})
    results = [_holds(rule, question) for rule in rules]
    return Evaluation(results, list(question.missing))


def flatten(document: dict[str, Any]) -> dict[str, str]:
    """Make a flat context: dotted names, list indexes as names, every value as text; the later of two equal names wins.

    A list or object is no field itself, unless it is empty: then it is the empty text.
    """
    flat: dict[str, str] = {}
    to_do: list[tuple[str, Any]] = list(reversed(document.items()))
    while to_do:  # no recursion: attributes may be nested as deep as JSON may
        name, value = to_do.pop()
        if isinstance(value, list):
            value = {str(index): inner for index, inner in enumerate(value)}
        if not isinstance(value, dict):
            flat[name] = javascript.text(value)
        elif not value:
            flat[name] = ""
        else:
            to_do += [(f"{name}.{part}" if name else part, inner) for part, inner in reversed(value.items())]
    return flat


def rollout_hash(key: str, attribute: str) -> int:
    """Return the place from 0 to 100000 that a rollout gives to a value: off where it is not below the threshold."""
    digest = hashlib.sha256(f"{key}.{attribute}".encode()).digest()
    return math.floor((int.from_bytes(digest[:4], "little") & _HASH_BITS) / _HASH_BITS * _HASH_SCALE)


@dataclass(frozen=True)
class _Question:
    """What the rules are held against, and the fields they missed (a dict, for its order)."""

    context: Context
    now_ms: float
    missing: dict[str, None]


def _holds(node: Filter, question: _Question) -> bool:
    match node["type"]:
        case "constant":
            return bool(node["value"])
        case "context":
            return _context_holds(node, question)
        case "rolloutPercentage":
            value = question.context.get(node["partialRolloutAttribute"])
            if value is None:
                question.missing[node["partialRolloutAttribute"]] = None
                return False
            return rollout_hash(node["key"], value) < float(node["partialRolloutThreshold"])
        case "group":
            every = bool(node["operator"] == "and")  # anything else acts as "or"
            for inner in node["filters"]:
                if _holds(inner, question) is not every:
                    return not every  # the others are not asked, so their missing fields are not reported
            return every
        case "negation":
            return not _holds(node["filter"], question)
        case _:
            return False


def _context_holds(node: Filter, question: _Question) -> bool:
    name, operator_name = node["field"], node["operator"]
    field = question.context.get(name)
    if field is None:
        if operator_name not in _ASKS_FOR_ABSENCE:
            question.missing[name] = None
            return False
        field = ""
    values = node.get("values") or []
    if operator_name in _OF_SET:
        return (field in values) is _OF_SET[operator_name]
    if operator_name in _OF_NONE:
        return _OF_NONE[operator_name](field)
    if operator_name in _OF_DAYS:
        moment_ms = dates.days_before(question.now_ms, javascript.number(values[0]))
        return _OF_DAYS[operator_name](dates.date_ms(field), moment_ms)
    if operator_name in _OF_ONE:
        return _OF_ONE[operator_name](field, values[0])
    return False


def _by(convert: Callable[[str], float], compare: Callable[[float, float], bool]) -> Callable[[str, str], bool]:
    """Compare what two texts mean; NaN makes any comparison false."""
    return lambda field, value: compare(convert(field), convert(value))


_ASKS_FOR_ABSENCE: Final = frozenset({"SET", "NOT_SET"})
_OF_SET: Final = {"ANY_OF": True, "NOT_ANY_OF": False}
_OF_NONE: Final[dict[str, Callable[[str], bool]]] = {
    "SET": lambda field: field != "",
    "NOT_SET": lambda field: field == "",
    "IS_TRUE": lambda field: field == "true",
    "IS_FALSE": lambda field: field == "false",
}
# AFTER and BEFORE a number of days ago.
_OF_DAYS: Final[dict[str, Callable[[float, float], bool]]] = {"AFTER": operator.gt, "BEFORE": operator.lt}
_OF_ONE: Final[dict[str, Callable[[str, str], bool]]] = {
    "IS": operator.eq,
    "IS_NOT": operator.ne,
    "CONTAINS": lambda field, value: value.lower() in field.lower(),
    "NOT_CONTAINS": lambda field, value: value.lower() not in field.lower(),
    "GT": _by(javascript.number, operator.gt),
    "LT": _by(javascript.number, operator.lt),
    "DATE_AFTER": _by(dates.date_ms, operator.ge),
    "DATE_BEFORE": _by(dates.date_ms, operator.le),
}
# Every operator that compares with one value: definitions that give it none are malformed (S3: "exactly one").
ONE_VALUE: Final = frozenset({*_OF_DAYS, *_OF_ONE})
