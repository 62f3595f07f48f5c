"""The evaluation of 2026: lists are values, and a rule that meets an error does not match.

`evaluation_reading` is a second reading of the same description; it was written by who had not seen the package's.
"""

from random import Random

import pytest
from evaluation_cases import NOW_MS
from evaluation_drawn import OPERATORS, drawn_context, drawn_rules
from evaluation_reading import read_rules

from bucket_loader.model.evaluation.rules import EDITIONS, evaluate, flatten

CASES = 3_000


def drawn(seed):
    """Return a context and rules by chance."""
    chance = Random(seed)  # noqa: S311  # repeatable, not secret
    return drawn_context(chance), drawn_rules(chance)


def by_the_package(context, rules):
    """Return what the package makes of a case, in the words of the reading."""
    ours = evaluate([rule["filter"] for rule in rules], flatten(context, "2026"), NOW_MS, "2026")
    errors = [(error.code, error.field, error.operator) for error in ours.errors]
    return ours.matched is not None, ours.results, ours.missing, errors


def test_evaluation_agrees_with_a_second_reading_of_its_description():
    """On every drawn case the value, the results, the missing fields and the errors are the same."""
    for seed in range(CASES):
        context, rules = drawn(seed)
        read = read_rules(rules, context)

        assert by_the_package(context, rules) == (read.value, read.results, read.missing, read.errors), (seed, context)


def filters(node):
    """Return a filter and all those inside it."""
    yield node
    for inner in [*node.get("filters", []), *([node["filter"]] if "filter" in node else [])]:
        yield from filters(inner)


def test_the_drawn_cases_meet_what_is_new():
    """Every operator meets a list, true and false where it takes one, and errors change many a result."""
    met, changed, changed_by_negation = set(), 0, 0
    for seed in range(CASES):
        context, rules = drawn(seed)
        fields = flatten(context, "2026")
        for rule in (one["filter"] for one in rules):
            old, new = (evaluate([rule], fields, NOW_MS, edition).results for edition in ("2025", "2026"))
            changed += old != new
            changed_by_negation += old != new and rule["type"] == "negation"
            for node in filters(rule):
                if node["type"] == "context" and isinstance(fields.get(node["field"]), tuple):
                    ours = evaluate([node], fields, NOW_MS, "2026")
                    met.add((node["operator"], ours.results[0], bool(ours.errors)))

    answered = {(name, result, False) for name in OPERATORS[:8] for result in (True, False)}
    assert met == answered | {(name, False, True) for name in OPERATORS[8:]}
    assert changed > 200
    assert changed_by_negation > 50


def asks(operator, *values, field="user.roles"):
    """Return a filter on a field."""
    return {"type": "context", "field": field, "operator": operator, "values": list(values)}


def group(operator, *filters):
    """Return a group."""
    return {"type": "group", "operator": operator, "filters": list(filters)}


def negated(node):
    """Return a negation."""
    return {"type": "negation", "filter": node}


@pytest.mark.parametrize(
    ("roles", "holding"),
    [
        (["admin"], {"IS", "CONTAINS", "ANY_OF", "SET"}),
        (["admin", "admin"], {"IS_NOT", "CONTAINS", "ANY_OF", "SET"}),
        (["Admin", "administrator"], {"IS_NOT", "NOT_CONTAINS", "NOT_ANY_OF", "SET"}),
        (["other", "editor"], {"IS_NOT", "NOT_CONTAINS", "ANY_OF", "SET"}),
        ([], {"IS_NOT", "NOT_CONTAINS", "NOT_ANY_OF", "NOT_SET"}),
        ([None], {"IS_NOT", "NOT_CONTAINS", "NOT_ANY_OF", "SET"}),
    ],
)
def test_operators_on_lists_take_whole_items(roles, holding):
    """Each of the eight, with one item, with equal ones, with others, with none, and with the empty text."""
    operators = ("IS", "IS_NOT", "CONTAINS", "NOT_CONTAINS", "ANY_OF", "NOT_ANY_OF", "SET", "NOT_SET")
    fields = flatten({"user": {"roles": roles}}, "2026")

    ours = evaluate([asks(operator, "admin", "editor") for operator in operators], fields, NOW_MS, "2026")

    assert {name for name, holds in zip(operators, ours.results, strict=True) if holds} == holding
    assert ours.errors == []


ERRING = asks("GT", "1")
YES, NO = {"type": "constant", "value": True}, {"type": "constant", "value": False}


@pytest.mark.parametrize(
    ("rule", "holds", "errors"),
    [
        (negated(ERRING), False, 1),
        (group("or", ERRING, YES), False, 1),
        (group("or", YES, ERRING), True, 0),
        (group("and", NO, ERRING), False, 0),
        (negated(group("and", NO, ERRING)), True, 0),
        (group("or", ERRING, asks("IS", "x", field="absent"), YES), False, 2),
        (group("and", ERRING, asks("IS", "x", field="absent")), False, 1),
        (negated(asks("IS", "x", field="absent")), False, 1),
        (negated(asks("SET", field="absent")), True, 0),
        (negated(asks("NEVER_HEARD_OF", "x")), False, 1),
        (negated({"type": "moon"}), True, 0),
    ],
)
def test_a_rule_with_an_error_does_not_match(rule, holds, errors):
    """Wherever the error is, but for what is never asked; the walk goes on as if its filter were false."""
    ours = evaluate([rule], flatten({"user": {"roles": ["admin"]}}, "2026"), NOW_MS, "2026")

    assert (ours.results, len(ours.errors)) == ([holds], errors)


@pytest.mark.parametrize(
    ("value", "items"),
    [
        ([1, 1.50, 1e21, 2**53 + 1, -0.0, True, False, None], ("1", "1.5", "1e+21", "9007199254740992", "0")),
        ([{"a": 1, "b": [None, "ü", 2.0]}, ["x", []]], ('{"a":1,"b":[null,"ü",2]}', '["x",[]]')),
        ([10**400, -(10**400), {"x": 10**400}], ("Infinity", "-Infinity", '{"x":null}')),
        (['say "hi"', ['say "hi"\n']], ('say "hi"', '["say \\"hi\\"\\n"]')),
    ],
)
def test_items_become_texts_as_in_javascript(value, items):
    """Numbers and booleans are texts, null is the empty one, and what is inside an item is compact JSON."""
    fields = flatten({"user": {"x": value, "deep": {"er": value}}}, "2026")

    assert fields["user.x"] == fields["user.deep.er"]
    assert fields["user.x"][: len(items)] == items
    assert set(fields) == {"user.x", "user.deep.er"}


@pytest.mark.parametrize("edition", EDITIONS)
def test_a_number_beyond_all_doubles_is_a_text_too(edition):
    """No number that JSON can hold breaks an evaluation."""
    assert flatten({"x": 10**400, "y": {"z": -(10**400)}}, edition) == {"x": "Infinity", "y.z": "-Infinity"}
