"""Why a feature is on or off: each rule, and each condition in it with the value that it met.

`explain` tells what the evaluation itself went through. `deduce` is for the real API, whose answer has one result for
each rule and nothing of the values: it marks what follows from that, and says of the rest that it is not told.
"""

from collections.abc import Sequence
from typing import Final, Literal, TypeAlias

from msgspec import Struct

from bucket_loader.model.evaluation.rules import (
    ASKS_FOR_ABSENCE,
    Context,
    Edition,
    Evaluation,
    FieldValue,
    Filter,
    Met,
    evaluate,
    field_of,
    inner_filters,
)
from bucket_loader.model.evaluation.words import headline, in_words

Holds: TypeAlias = Literal["yes", "no", "not asked", "not told"]
# A field that is missing, or a field with the operator that was asked of a list.
Troubles: TypeAlias = frozenset[tuple[str, str | None]]
_SAID: Final[dict[bool, Holds]] = {True: "yes", False: "no"}


class Condition(Struct):
    """One filter of a rule, and what came of it.

    Attributes:
        text: the filter in words, without those in it; where it was not asked, all of it.
        holds: `not asked` where the rest had decided before, `not told` where only Bucket knows.
        field: what it asks the context for, if it asks for something.
        value: what it met there, as the text that is compared; null where the context has no such field.
        error: why it could not be decided, and so was false.
        conditions: the filters in it.
    """

    text: str
    holds: Holds
    field: str | None = None
    value: FieldValue | None = None
    error: str | None = None
    conditions: list["Condition"] = []


class ExplainedRule(Struct):
    """One rule: in words, whether it matches, and its conditions as a tree."""

    text: str
    matches: bool
    condition: Condition


class Explanation(Struct, rename="camel"):
    """Why a feature is on or off.

    Attributes:
        key: of the feature.
        is_enabled: whether it is on.
        because: what decided, in words: `rule 2 matches`.
        rules: all of them, in order; the first that matches decides.
    """

    key: str
    is_enabled: bool
    because: str
    rules: list[ExplainedRule]


def explain(
    rules: Sequence[Filter], context: Context, now_ms: float, edition: Edition
) -> tuple[Evaluation, list[ExplainedRule]]:
    """Hold rules against a context; return what came of it, and why."""
    trace: list[Met] = []
    evaluation = evaluate(rules, context, now_ms, edition, trace)
    told = zip(evaluation.results, trace, strict=True)
    return evaluation, [ExplainedRule(in_words(met.filter), result, _told(met)) for result, met in told]


def because(results: Sequence[bool]) -> str:
    """Return in words which rule decided."""
    if not results:
        return "it has no rules"
    return f"rule {results.index(True) + 1} matches" if True in results else "no rule matches"


def deduce(rules: Sequence[Filter], results: Sequence[bool], given: Context, troubles: Troubles) -> list[ExplainedRule]:
    """Return what follows from the results of rules.

    Args:
        rules: the filter of each.
        results: what the API says of each.
        given: the fields that the caller has given, and that Bucket took as they are.
        troubles: what the API says is wrong: a field that is missing, or one with an operator that takes no list.
    """
    found = []
    for rule, result in zip(rules, results, strict=True):
        # A rule with an error is false whatever its filter is, so nothing follows from that.
        known = result if result or not _is_troubled(rule, troubles) else None
        found.append(ExplainedRule(in_words(rule), result, _deduced(rule, known, given, troubles)))
    return found


def _told(met: Met) -> Condition:
    if met.holds is None:
        return Condition(in_words(met.filter), "not asked", field_of(met.filter))
    return Condition(
        headline(met.filter),
        _SAID[met.holds],
        field_of(met.filter),
        met.value,
        None if met.error is None else met.error.message,
        [_told(inner) for inner in met.inner],
    )


def _deduced(node: Filter, known: bool | None, given: Context, troubles: Troubles) -> Condition:  # noqa: FBT001  # three answers
    name = field_of(node)
    error = _trouble(node, troubles)
    holds: Holds = "not told" if known is None else _SAID[known]
    inner = [_deduced(one, _inside(node, known), given, troubles) for one in inner_filters(node)]
    value = None if name is None else given.get(name)
    return Condition(headline(node), "no" if error else holds, name, value, error, inner)


def _inside(node: Filter, known: bool | None) -> bool | None:  # noqa: FBT001  # the same
    """Return what is known of each filter in one: all of an `and` that holds do, and none of an `or` that does not."""
    if known is None:
        return None
    if node["type"] == "negation":
        return not known
    is_all = node["operator"] == "and"
    return known if known is is_all or len(node["filters"]) == 1 else None


def _trouble(node: Filter, troubles: Troubles) -> str | None:
    """Return what the API says is wrong with what a filter asks for itself."""
    name, operator = field_of(node), node.get("operator", node["type"])
    if (name, None) in troubles and operator not in ASKS_FOR_ABSENCE:
        return "the API says that it is missing"
    return "the API says that it is a list" if (name, operator) in troubles else None


def _is_troubled(node: Filter, troubles: Troubles) -> bool:
    return _trouble(node, troubles) is not None or any(_is_troubled(inner, troubles) for inner in inner_filters(node))
