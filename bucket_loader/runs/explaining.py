"""Why a company has a feature: from the emulator all of it, from the real API as far as its answer goes."""

from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import urlencode

import msgspec
from msgspec import Struct

from bucket_loader.config import Destination
from bucket_loader.model import (
    Condition,
    ExplainedRule,
    Explanation,
    MisroutedError,
    Verdict,
    because,
    deduce,
)
from bucket_loader.reporting import Lines, Listener, Note
from bucket_loader.runs.features import (
    Definition,
    Evaluation,
    defined_features,
    evaluated_features,
    get,
    refuse_legacy,
    shown,
)

_EMULATOR: Final = "/_emulator/explanations"
_MARKS: Final = {"yes": "✓", "no": "✗", "not asked": "·", "not told": "?"}
_MALFORMED: Final = (AttributeError, KeyError, TypeError, ValueError)  # what stands where a filter should


class Explained(Struct, rename="camel"):
    """Each feature, and why it is on or off.

    Attributes:
        explanations: one for each feature.
        is_complete: whether every value that was compared is told; only an emulator tells them.
    """

    explanations: list[Explanation]
    is_complete: bool = True

    def as_json(self) -> dict[str, Any]:
        """Return it as programs read it."""
        found: dict[str, Any] = msgspec.to_builtins(self)
        return found


def explained_features(destination: Destination, context: Mapping[str, str]) -> Explained:
    """Return why each feature is on or off in a context: dotted names (`company.id`) and texts.

    Raises:
        BucketLoaderError: the host or the key is not right, or cannot be used right now.
    """
    refuse_legacy(destination, _EMULATOR)
    return _by_the_emulator(destination, context) or _by_the_api(destination, context)


def _by_the_emulator(destination: Destination, context: Mapping[str, str]) -> Explained | None:
    """Return what an emulator says; None where there is none. Only this machine's own addresses are asked."""
    if not destination.is_here:
        return None
    query = urlencode({f"context.{name}": text for name, text in context.items()})
    outcome, answer = get(destination, _EMULATOR, f"?{query}")
    return msgspec.json.decode(answer, type=Explained) if outcome.verdict is Verdict.DELIVERED else None


def _by_the_api(destination: Destination, context: Mapping[str, str]) -> Explained:
    definitions = msgspec.convert(defined_features(destination)["features"], list[Definition])
    evaluations = msgspec.convert(evaluated_features(destination, context)["features"], dict[str, Evaluation])
    try:
        found = [_deduced(one, evaluations[one.key], context) for one in definitions if one.key in evaluations]
    except _MALFORMED:
        raise MisroutedError(
            f"{destination.base_url}: the rules of its features are not in Bucket's form",
            hint="leave --explain out: what is on and off is told all the same",
        ) from None
    return Explained(found, is_complete=False)


def _deduced(definition: Definition, evaluation: Evaluation, context: Mapping[str, str]) -> Explanation:
    filters = [rule["filter"] for rule in definition.targeting.rules]
    results = evaluation.rule_evaluation_results or []
    is_told = len(results) == len(filters) and None not in results
    if not is_told:
        return Explanation(definition.key, evaluation.is_enabled, "Bucket does not say which rule decided", [])
    said = [result is True for result in results]
    reason = because(said) if any(said) is evaluation.is_enabled else f"not by its rules ({because(said)})"
    return Explanation(
        definition.key, evaluation.is_enabled, reason, deduce(filters, said, context, _troubles(evaluation))
    )


def _troubles(evaluation: Evaluation) -> frozenset[tuple[str, str | None]]:
    errors = [(str(error.get("field")), error.get("operator")) for error in evaluation.evaluation_errors or []]
    return frozenset([*((name, None) for name in evaluation.missing_context_fields or []), *errors])


# --- for people ----------------------------------------------------------------------------------------------------


def tell_explained(listener: Listener, found: Explained) -> None:
    """Show each feature with its rules as a tree. Values are row data, so no log gets them."""
    if not found.explanations:
        listener.tell(Note("no feature is defined"))
    for one in found.explanations:
        head = f"{shown(one.key)} is {'on' if one.is_enabled else 'off'}: {one.because}"
        rules = [line for number, rule in enumerate(one.rules, 1) for line in _lines(number, rule)]
        listener.tell(Lines((head, *rules)))
    if not found.is_complete and found.explanations:
        listener.tell(Note("? is not told: Bucket answers with one result for each rule, and with no stored value"))


def _lines(number: int, rule: ExplainedRule) -> Iterator[str]:
    yield f"    rule {number} {'matches' if rule.matches else 'does not match'}"
    if rule.condition.holds == "yes" and not rule.matches:
        yield "        a rule that meets an error does not match, whatever its conditions are"
    yield from _tree(rule.condition, " " * 6)


def _tree(condition: Condition, indent: str) -> Iterator[str]:
    yield f"{indent}{_MARKS[condition.holds]} {shown(condition.text)}{_met(condition)}"
    for inner in condition.conditions:
        yield from _tree(inner, indent + "  ")


def _met(condition: Condition) -> str:
    """Return what a condition met, to stand behind it."""
    if condition.error is not None:
        return f": {shown(condition.error)}"
    if condition.holds == "not asked":
        return " (not asked: it was decided before)"
    if condition.value is None:
        return ""
    value = condition.value
    items = f"[{', '.join(value)}]" if isinstance(value, tuple | list) else f'"{value}"'
    return f": it is {shown(items)}"
