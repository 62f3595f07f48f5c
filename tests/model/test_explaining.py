"""Why a rule holds or not: the trace of the evaluation, in words, and what follows from an answer of the API."""

import json
import sys
from pathlib import Path
from random import Random

import pytest

from bucket_loader.model import because, deduce, evaluate, explain, flatten, in_words, inner_filters
from bucket_loader.model.evaluation.rules import Met

EMULATOR = Path(__file__).parents[1] / "emulator"
sys.path.insert(0, str(EMULATOR))
from evaluation_cases import NOW_MS  # noqa: E402
from evaluation_drawn import drawn_context, drawn_rules  # noqa: E402

CASES = json.loads((EMULATOR / "evaluation_cases.json").read_text("utf-8"))
DRAWN = [
    (flatten(drawn_context(chance), "2026"), [rule["filter"] for rule in drawn_rules(chance)])
    for chance in map(Random, range(400))
]


def is_(field, value="pro"):
    """Return a condition."""
    return {"type": "context", "field": field, "operator": "IS", "values": [value]}


def group(operator, *filters):
    """Return a group of conditions."""
    return {"type": "group", "operator": operator, "filters": list(filters)}


def cases():
    """Return every stored case and those by chance, each as context, rules and edition."""
    for case in CASES:
        yield flatten(case["context"], "2025"), case["rules"], "2025"
    for context, rules in DRAWN:
        yield context, rules, "2026"


def checked(met: Met, context, edition):
    """Hold one traced filter, and all in it that were asked, against the evaluation of it alone."""
    alone = evaluate([met.filter], context, NOW_MS, "2025")
    assert alone.results == [met.holds], met
    assert len(met.inner) == len(inner_filters(met.filter))
    for inner in met.inner:
        if inner.holds is not None:
            checked(inner, context, edition)


def test_a_trace_changes_nothing_and_is_what_was_decided():
    """On every case the traced evaluation is the untraced one, and each filter in it holds as it does alone."""
    for context, rules, edition in cases():
        trace: list[Met] = []
        traced = evaluate(rules, context, NOW_MS, edition, trace)

        assert traced == evaluate(rules, context, NOW_MS, edition)
        assert [met.filter for met in trace] == rules
        for met in trace:
            checked(met, context, edition)


def test_an_explanation_agrees_with_the_evaluation():
    """On every case each rule matches where the evaluation says so, and each error of the evaluation stands in it."""
    for context, rules, edition in cases():
        evaluation, found = explain(rules, context, NOW_MS, edition)

        assert [rule.matches for rule in found] == evaluation.results
        errors = {error.message for error in evaluation.errors}
        assert errors == {error for rule in found for error in errors_in(rule.condition)}
        assert (evaluation.matched is None) is (because(evaluation.results) in {"no rule matches", "it has no rules"})


def errors_in(condition):
    """Return the errors in a condition and those in it."""
    found = {condition.error} - {None}
    return found.union(*map(errors_in, condition.conditions))


def test_what_is_deduced_is_never_wrong():
    """Whatever follows from the results of rules is what the evaluation with all values went through."""
    certain = 0
    for context, rules, edition in cases():
        evaluation, whole = explain(rules, context, NOW_MS, edition)
        found = deduce(
            rules, evaluation.results, {}, frozenset((error.field, error.operator) for error in evaluation.errors)
        )

        for ours, truth in zip(found, whole, strict=True):
            certain += agreed(ours.condition, truth.condition)
    assert certain > 1000


def agreed(ours, truth):
    """Compare what was deduced with the truth, down to where either is not known; return how much was compared."""
    if "not told" in {ours.holds, truth.holds} or truth.holds == "not asked":
        return sum(agreed(*pair) for pair in zip(ours.conditions, truth.conditions, strict=False))
    assert ours.holds == truth.holds, (ours, truth)
    return 1 + sum(agreed(*pair) for pair in zip(ours.conditions, truth.conditions, strict=False))


def test_the_values_that_were_met_are_told():
    """Each condition has the value it met; one that was decided without has none, and says so as a whole."""
    rule = group("and", is_("company.plan"), group("or", is_("user.role", "admin"), is_("absent")))

    _, [found] = explain([rule], {"company.plan": "free"}, NOW_MS, "2026")

    first, rest = found.condition.conditions
    assert (first.holds, first.value) == ("no", "free")
    assert (rest.holds, rest.text) == ("not asked", "user.role is admin or absent is pro")


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (group("and", is_("a"), group("or", is_("b"), is_("c"))), "a is pro and (b is pro or c is pro)"),
        ({"type": "negation", "filter": is_("a")}, "not (a is pro)"),
        (group("and"), "everyone"),
        (group("or"), "nobody"),
        (group("or", group("and", is_("a"), is_("b"))), "a is pro and b is pro"),
        ({"type": "constant", "value": False}, "nobody"),
        ({"type": "context", "field": "t", "operator": "AFTER", "values": ["7"]}, "t is within the last 7 days"),
        ({"type": "context", "field": "t", "operator": "SET"}, "t is set"),
        ({"type": "rolloutPercentage", "partialRolloutAttribute": "user.id", "partialRolloutThreshold": 12_500},
         "12.5 % by user.id"),
        ({"type": "moon"}, "nobody: a filter of type moon is not known"),
    ],
)  # fmt: skip
def test_rules_are_told_in_words(rule, words):
    """A rule is one phrase, with parentheses where they are needed."""
    assert in_words(rule) == words
