"""Decides which rules of a feature a context fulfils. Pure: no store, no HTTP, and the clock is given.

There are two editions. That of 2025 knows texts alone, and a rule with an absent field may match (under a negation). In
that of 2026 a list is one value, and a rule that meets an error does not match.

Source: FE 0.2.1 (the walk, and the edition of 2025), DOC' and FE' (the edition of 2026), S3 (the five kinds of filter);
API.md sections 7 and 9.2 are the summary. Filters are taken as GET /features has them; `features` has checked their
shape.
"""

import hashlib
import math
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple, TypeAlias, get_args

from bucket_loader.model.evaluation import dates, javascript

Edition = Literal["2025", "2026"]
EDITIONS: Final[tuple[Edition, ...]] = get_args(Edition)
Filter: TypeAlias = Mapping[str, Any]
FieldValue: TypeAlias = str | tuple[str, ...]
Context: TypeAlias = Mapping[str, FieldValue]
ErrorCode = Literal["MISSING_CONTEXT_FIELD", "UNSUPPORTED_ARRAY_OPERATOR"]

_FIELDS: Final = {"context": "field", "rolloutPercentage": "partialRolloutAttribute"}
_HASH_BITS: Final = 0xFFFFF
_HASH_SCALE: Final = 100_000  # S0 and FE; S3 says 10000 (C3)


class EvaluationError(NamedTuple):
    """Why a rule could not be decided.

    Attributes:
        code: what is the matter.
        field: the field that the rule asked for.
        operator: what the rule asked of it; None where the field is absent, since any operator would have failed.
    """

    code: ErrorCode
    field: str
    operator: str | None = None

    @property
    def message(self) -> str:
        """Return the same in words."""
        if self.code == "MISSING_CONTEXT_FIELD":
            return f"The context has no field {self.field}"
        return f"{self.operator} takes no list, and {self.field} is one"


class Evaluation(NamedTuple):
    """What came of a list of rules.

    Attributes:
        results: one for each rule, also for those after the first that matched.
        errors: what rules met while they were evaluated, each once, in the order it was met.
    """

    results: list[bool]
    errors: list[EvaluationError]

    @property
    def matched(self) -> int | None:
        """Return the index of the first rule that is fulfilled."""
        return self.results.index(True) if True in self.results else None

    @property
    def missing(self) -> list[str]:
        """Return the fields that rules asked for and the context lacks."""
        return [error.field for error in self.errors if error.code == "MISSING_CONTEXT_FIELD"]


class Met(NamedTuple):
    """One filter, and what came of it when a context was held against it.

    Attributes:
        filter: as it is defined.
        holds: what it came to; None where the walk had decided before it came there.
        value: of the field that it asks for; None where it asks for none, or the context has none.
        error: why it could not be decided, and so was false.
        inner: the same of the filters in it.
    """

    filter: Filter
    holds: bool | None
    value: FieldValue | None = None
    error: EvaluationError | None = None
    inner: Sequence["Met"] = ()


def evaluate(
    rules: Sequence[Filter], context: Context, now_ms: float, edition: Edition, trace: list[Met] | None = None
) -> Evaluation:
    """Hold every rule against a flat context.

    Args:
        rules: the filter of each rule, or of each variant.
        context: field by dotted name, as `flatten` returns it.
        now_ms: milliseconds since the epoch, for rules about days ago.
        edition: whether an error makes its rule false (2026), or only the filter that met it (2025).
        trace: gets what came of each rule's filter, and of those in it.
    """
    question = _Question(context, now_ms, [], trace)
    results = [_matches(rule, question, edition) for rule in rules]
    return Evaluation(results, list(dict.fromkeys(question.errors)))


def fulfils(rules: Sequence[Filter], context: Context, now_ms: float, edition: Edition) -> bool:
    """Whether a context fulfils any of the rules; those after the first that it does are not looked at."""
    question = _Question(context, now_ms, [], None)
    return any(_matches(rule, question, edition) for rule in rules)


def flatten(document: dict[str, Any], edition: Edition) -> dict[str, FieldValue]:
    """Make a flat context: dotted names, every value as text; the later of two equal names wins.

    An object is no field itself, unless it is empty: then it is the empty text. A list is one field with the texts of
    its items (2026), or is taken for an object whose names are the indexes (2025).
    """
    flat: dict[str, FieldValue] = {}
    to_do: list[tuple[str, Any]] = list(reversed(document.items()))
    while to_do:  # no recursion: attributes may be nested as deep as JSON may
        name, value = to_do.pop()
        if isinstance(value, list):
            if edition == "2026":
                flat[name] = javascript.list_texts(value)
                continue
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


class _Question(NamedTuple):
    """What rules are held against, and the errors they meet, in order; an error may be met again.

    Where it is traced, each filter adds what came of it to `trace`.
    """

    context: Context
    now_ms: float
    errors: list[EvaluationError]
    trace: list[Met] | None

    def fail(self, code: ErrorCode, field: str, operator_name: str | None = None) -> bool:
        """Note an error; the filter that meets it is false, and the walk goes on."""
        self.errors.append(EvaluationError(code, field, operator_name))
        return False


def _matches(rule: Filter, question: _Question, edition: Edition) -> bool:
    met_before = len(question.errors)
    return _holds(rule, question) and (edition == "2025" or len(question.errors) == met_before)


def _holds(node: Filter, question: _Question) -> bool:
    if question.trace is None:
        return _decides(node, question)
    inner: list[Met] = []
    errors_before = len(question.errors)
    holds = _decides(node, question._replace(trace=inner))
    inner += [Met(other, None) for other in inner_filters(node)[len(inner) :]]
    name = field_of(node)
    value = None if name is None else question.context.get(name)
    has_erred = name is not None and len(question.errors) > errors_before
    question.trace.append(Met(node, holds, value, question.errors[-1] if has_erred else None, inner))
    return holds


def field_of(node: Filter) -> str | None:
    """Return the field of the context that a filter itself asks for."""
    name: str | None = node.get(
        {"context": "field", "rolloutPercentage": "partialRolloutAttribute"}.get(node["type"], "")
    )
    return name


def inner_filters(node: Filter) -> Sequence[Filter]:
    """Return the filters that stand directly in a filter."""
    match node["type"]:
        case "group":
            return list(node["filters"])
        case "negation":
            return [node["filter"]]
        case _:
            return []


def _decides(node: Filter, question: _Question) -> bool:
    match node["type"]:
        case "constant":
            return bool(node["value"])
        case "context":
            return _context_holds(node, question)
        case "rolloutPercentage":
            return _is_rolled_out(node, question)
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


def _is_rolled_out(node: Filter, question: _Question) -> bool:
    name = node["partialRolloutAttribute"]
    value = question.context.get(name)
    if value is None:
        return question.fail("MISSING_CONTEXT_FIELD", name)
    if isinstance(value, tuple):
        return question.fail("UNSUPPORTED_ARRAY_OPERATOR", name, "rolloutPercentage")
    return rollout_hash(node["key"], value) < float(node["partialRolloutThreshold"])


def _context_holds(node: Filter, question: _Question) -> bool:
    name, operator_name = node["field"], node["operator"]
    field = question.context.get(name)
    if field is None:
        if operator_name not in ASKS_FOR_ABSENCE:
            return question.fail("MISSING_CONTEXT_FIELD", name)
        field = ""
    values: Sequence[str] = node.get("values") or []
    if isinstance(field, tuple):
        if operator_name not in _OF_LIST:
            return question.fail("UNSUPPORTED_ARRAY_OPERATOR", name, operator_name)
        return _OF_LIST[operator_name](field, values)
    return _text_holds(operator_name, field, values, question.now_ms)


def _text_holds(operator_name: str, field: str, values: Sequence[str], now_ms: float) -> bool:
    if operator_name in _OF_SET:
        return (field in values) is _OF_SET[operator_name]
    if operator_name in _OF_NONE:
        return _OF_NONE[operator_name](field)
    if operator_name in _OF_DAYS:
        moment_ms = dates.days_before(now_ms, javascript.number(values[0]))
        return _OF_DAYS[operator_name](dates.date_ms(field), moment_ms)
    if operator_name in _OF_ONE:
        return _OF_ONE[operator_name](field, values[0])
    return False


def _by(convert: Callable[[str], float], compare: Callable[[float, float], bool]) -> Callable[[str, str], bool]:
    """Compare what two texts mean; NaN makes any comparison false."""
    return lambda field, value: compare(convert(field), convert(value))


def _is_in(items: tuple[str, ...], values: Sequence[str]) -> bool:
    return not frozenset(items).isdisjoint(values)


def _is_only(items: tuple[str, ...], values: Sequence[str]) -> bool:
    return items == tuple(values[:1])


# To these operators an absent field is no error.
ASKS_FOR_ABSENCE: Final = frozenset({"SET", "NOT_SET"})
_OF_SET: Final = {"ANY_OF": True, "NOT_ANY_OF": False}
_OF_NONE: Final[dict[str, Callable[[str], bool]]] = {
    "SET": lambda field: field != "",
    "NOT_SET": lambda field: field == "",
    "IS_TRUE": lambda field: field == "true",
    "IS_FALSE": lambda field: field == "false",
}
# Whole items, upper and lower case apart, in any order. All other operators take no list. Source: DOC', FE'.
_OF_LIST: Final[dict[str, Callable[[tuple[str, ...], Sequence[str]], bool]]] = {
    "IS": _is_only,
    "IS_NOT": lambda items, values: not _is_only(items, values),
    "CONTAINS": lambda items, values: _is_in(items, values[:1]),
    "NOT_CONTAINS": lambda items, values: not _is_in(items, values[:1]),
    "ANY_OF": _is_in,
    "NOT_ANY_OF": lambda items, values: not _is_in(items, values),
    "SET": lambda items, _: bool(items),
    "NOT_SET": lambda items, _: not items,
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
