"""The engine of `impact` beside the evaluation of every call: the same answers, and unknown only what has to be."""

from random import Random

import numpy as np
import pytest
from evaluation_cases import NOW_MS
from evaluation_drawn import FIELDS, drawn_context, drawn_rules
from hypothesis import given, strategies as st

from bucket_loader.model import EDITIONS, UsageError, evaluate, flatten
from bucket_loader.runs.impact.columns import Column, Unknown
from bucket_loader.runs.impact.definitions import read_features
from bucket_loader.runs.impact.engine import NONE, UNSURE, Table, answers

ROWS = 30
SEEDS = st.integers(0, 2**32)


def drawn_feature(chance):
    """Return a feature by chance, with variants."""
    variants = [{"key": str(place), **rule} for place, rule in enumerate(drawn_rules(chance))]
    document = [{"key": "f", "targeting": {"rules": drawn_rules(chance)}, "config": {"variants": variants}}]
    (feature,) = read_features(document, where="chance")
    return feature


def table_of(contexts, hidden):
    """Return contexts as columns, without the values of hidden fields."""
    columns = {}
    for name in FIELDS:
        values = [Unknown(f"{name} is hidden") if name in hidden else context.get(name) for context in contexts]
        different = list(dict.fromkeys(values))
        columns[name] = Column(np.array([different.index(value) for value in values]), different)
    return Table(len(contexts), columns)


@given(seed=SEEDS, edition=st.sampled_from(EDITIONS))
def test_answers_are_those_of_the_evaluation(seed, edition):
    """Where all is known, each feature is what the evaluation says, row by row, by the same rule and variant."""
    chance = Random(seed)  # noqa: S311  # repeatable, not secret
    contexts = [flatten(drawn_context(chance), edition) for _ in range(ROWS)]
    feature = drawn_feature(chance)
    found = answers(feature, table_of(contexts, ()), NOW_MS, edition)
    for row, context in enumerate(contexts):
        matched = [evaluate(some, context, NOW_MS, edition).matched for some in (feature.rules, feature.variants)]
        assert [found.rules[row], found.variants[row]] == [NONE if one is None else one for one in matched]
        assert found.on[row] == (matched[0] is not None)
    assert not found.unsure.any()


@given(seed=SEEDS, edition=st.sampled_from(EDITIONS))
def test_what_is_known_holds_whatever_the_unknown_is(seed, edition):
    """Whatever hidden fields hold, what is called known is so; what is unknown names a hidden field."""
    chance = Random(seed)  # noqa: S311  # repeatable, not secret
    hidden = chance.sample(FIELDS, 3)
    contexts = [flatten(drawn_context(chance), edition) for _ in range(ROWS)]
    feature = drawn_feature(chance)
    found = answers(feature, table_of(contexts, hidden), NOW_MS, edition)
    for row, context in enumerate(contexts):
        other = flatten(drawn_context(chance), edition)
        mixed = {name: value for name, value in context.items() if name not in hidden}
        mixed |= {name: value for name, value in other.items() if name in hidden}
        rule, variant = (evaluate(some, mixed, NOW_MS, edition).matched for some in (feature.rules, feature.variants))
        assert found.on[row] <= (rule is not None) <= (found.on[row] or found.unsure[row])
        assert found.rules[row] in {UNSURE, NONE if rule is None else rule}
        assert found.variants[row] in {UNSURE, NONE if variant is None else variant}
        if found.unsure[row]:
            assert found.asked[found.why[row]] in hidden


def test_an_unknown_that_decides_nothing_leaves_the_answer_known():
    """A false beside an unknown makes `and` false, a true beside it makes `or` true, and a rollout of 0 % is off."""
    hidden = {"type": "context", "field": "user.n", "operator": "IS", "values": ["a"]}
    everyone, nobody = ({"type": "constant", "value": value} for value in (True, False))
    nothing = {"type": "rolloutPercentage", "partialRolloutAttribute": "user.n", "partialRolloutThreshold": 0}
    rules = {
        "and": {"type": "group", "operator": "and", "filters": [hidden, nobody]},
        "or": {"type": "group", "operator": "or", "filters": [everyone, hidden]},
        "rollout": nothing,
        "not": {"type": "negation", "filter": hidden},
        "segment": {"type": "segment", "id": "s1"},
    }
    table = Table(1, {"user.n": Column.of_one(Unknown("hidden"), 1), "segment": Column.of_one(Unknown("hidden"), 1)})
    document = [{"key": key, "targeting": {"rules": [{"filter": node}]}} for key, node in rules.items()]
    document.append({"key": "opt-in", "targeting": {"rules": []}, "optInEnabled": True})
    table.columns["opt-in"] = Column.of_one(Unknown("hidden"), 1)
    found = {one.key: answers(one, table, NOW_MS, "2025") for one in read_features(document, where="here")}
    known = {key: bool(one.on[0]) for key, one in found.items() if not one.unsure[0]}
    assert known == {"and": False, "or": True, "rollout": False}


@pytest.mark.parametrize(
    "node",
    [
        {"type": "context", "field": "company.plan", "operator": "IS", "values": []},
        {"type": "context", "operator": "IS", "values": ["x"]},
        {"type": "group", "operator": "and"},
        {"type": "negation", "filter": {"type": "constant"}},
    ],
)
def test_definitions_that_cannot_be_evaluated_are_refused(node):
    """A file that is not in Bucket's form says so, and nothing is made up."""
    with pytest.raises(UsageError, match="not in Bucket's form"):
        read_features([{"key": "f", "targeting": {"rules": [{"filter": node}]}}], where="features.json")
