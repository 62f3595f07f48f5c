"""Rules and their evaluation, alone; `test_emulator_reads` asks the endpoints."""

import itertools
import json
import math

import pytest
from evaluation_cases import HASH_OF_ALL_ONES, NOW_MS, POOLS, STORED
from hypothesis import given, settings, strategies as st

from bucket_loader.model.evaluation import dates, javascript
from bucket_loader.model.evaluation.rules import evaluate, flatten, rollout_hash

CASES = json.loads(STORED.read_text("utf-8"))
YES, NO = {"type": "constant", "value": True}, {"type": "constant", "value": False}
ABSENT = {"type": "context", "field": "absent", "operator": "IS", "values": ["x"]}


def test_evaluation_agrees_with_the_stored_results():
    """On every stored case our results, missing fields and first match are the published packages'."""
    for case in CASES:
        ours = evaluate(case["rules"], flatten(case["context"], "2025"), NOW_MS, "2025")

        assert {"matched": ours.matched, "results": ours.results, "missing": ours.missing} == case["expected"], case


def filters(node):
    """Return a filter and all those inside it."""
    yield node
    for inner in [*node.get("filters", []), *([node["filter"]] if "filter" in node else [])]:
        yield from filters(inner)


def test_the_stored_cases_cover_every_operator_and_nesting():
    """At least 500 cases; every operator true, false and under a negation; every type within every other."""
    seen, inside = set(), set()
    for case in CASES:
        for rule, result in zip(case["rules"], case["expected"]["results"], strict=True):
            seen.add((rule.get("operator"), rule["type"], result))
            inside |= {
                (outer["type"], inner["type"])
                for outer in filters(rule)
                for inner in filters(outer)
                if inner is not outer
            }

    assert len(CASES) >= 500
    known = POOLS.keys() - {"NEVER_HEARD_OF"}
    assert {(operator, "context", result) for operator in known for result in (True, False)} <= seen
    types = ("group", "negation", "context", "constant", "rolloutPercentage")
    assert set(itertools.product(types[:2], types)) <= inside


def test_a_negation_of_an_absent_field_holds_and_is_reported():
    """The rule matches although its field is missing, and says so."""
    evaluation = evaluate([{"type": "negation", "filter": ABSENT}], {}, NOW_MS, "2025")

    assert (evaluation.matched, evaluation.results, evaluation.missing) == (0, [True], ["absent"])


def test_every_rule_is_evaluated_and_the_first_true_one_counts():
    """Rules after the first match still have results and missing fields."""
    evaluation = evaluate([NO, YES, ABSENT, YES], {}, NOW_MS, "2025")

    assert (evaluation.matched, evaluation.results, evaluation.missing) == (1, [False, True, False, True], ["absent"])


def test_no_rule_matches_nothing():
    """A feature without rules is off."""
    assert evaluate([], {}, NOW_MS, "2025").matched is None


@pytest.mark.parametrize(("operator", "first"), [("and", NO), ("or", YES)])
def test_groups_ask_no_further_than_they_must(operator, first):
    """A field behind the decision is not reported missing."""
    group = {"type": "group", "operator": operator, "filters": [first, ABSENT]}

    assert evaluate([group], {}, NOW_MS, "2025").missing == []


def test_the_rollout_scale_ends_at_100000():
    """A hash of all ones is 100000, which a threshold of 100000 does not let in."""
    rollout = {"type": "rolloutPercentage", "key": "huddle", "partialRolloutAttribute": "company.id"}
    context = {"company.id": HASH_OF_ALL_ONES}

    assert rollout_hash("huddle", HASH_OF_ALL_ONES) == 100_000
    assert evaluate([{**rollout, "partialRolloutThreshold": 100_000}], context, NOW_MS, "2025").results == [False]
    assert evaluate([{**rollout, "partialRolloutThreshold": 100_001}], context, NOW_MS, "2025").results == [True]


def test_rollouts_are_proportional():
    """Of many ids, about the share that the threshold names is let in."""
    hashes = [rollout_hash("huddle", f"company-{number}") for number in range(4000)]

    assert 0.22 < sum(value < 25_000 for value in hashes) / len(hashes) < 0.28


@pytest.mark.parametrize(
    ("document", "flat"),
    [
        ({}, {}),
        ({"a": {"b": {"c": 1}}, "d": [True, [None]]}, {"a.b.c": "1", "d.0": "true", "d.1.0": ""}),
        ({"a": {}, "b": [], "c": None}, {"a": "", "b": "", "c": ""}),
        ({"a.b": "dotted", "a": {"b": "nested"}}, {"a.b": "nested"}),
        ({"a": {"b": "nested"}, "a.b": "dotted"}, {"a.b": "dotted"}),
        ({"n": [42.0, -0.0, 1e21]}, {"n.0": "42", "n.1": "0", "n.2": "1e+21"}),
        ({"n": [1e-7, 0.1, 2**53 + 1]}, {"n.0": "1e-7", "n.1": "0.1", "n.2": "9007199254740992"}),
    ],
)
def test_contexts_become_flat_texts(document, flat):
    """Dotted names, indexes as names, JavaScript's texts, and the later of two equal names."""
    assert flatten(document, "2025") == flat


def test_contexts_may_be_as_deep_as_json():
    """Depth costs no stack."""
    deep = {"a": "end"}
    for _ in range(5000):
        deep = {"a": deep}

    assert list(flatten(deep, "2025").values()) == ["end"]


NUMBERS = {
    **dict.fromkeys(("", " \n\u00a0\ufeff", "-0", "0x0"), 0),
    **dict.fromkeys(("16", "0x10", "0X10", "0b10000", "0o20", "1.6e1", "+16.", "00016", " 16 "), 16),
    **dict.fromkeys(("Infinity", "1e999", "0x" + "f" * 300), math.inf),
    ".5": 0.5,
    "-1E3": -1000,
}
NO_NUMBERS = ["1_000", "inf", "nan", "-0x10", "0x", "1e", ".", "12px", "1,5", "\u0661\u0662", "\u200b1"]


@pytest.mark.parametrize(("text", "number"), NUMBERS.items())
def test_texts_are_numbers_as_in_javascript(text, number):
    """The empty text is 0, blanks do not count, and there are other bases."""
    assert javascript.number(text) == number


@pytest.mark.parametrize("text", NO_NUMBERS)
def test_what_only_python_reads_is_no_number(text):
    """Underscores, other digits, and other spellings of infinity."""
    assert math.isnan(javascript.number(text))


START = [
    *("1970-01-01", "1970", "1970-01", "1970-01-01T00:00", "1970-01-01T00:30+0030", "1970-01-01 01:00:00+01:00"),
    *("1969-12-31T24:00:00Z", "+001970-01-01", "Jan 1, 1970", "1 january 1970 00:00 GMT", "1/1/1970 12:00 AM", "70"),
    *("1970/1/1", "1969-12-31 19:00 EST", "Thu Jan 01 1970 01:00:00 GMT+0100 (Somewhere (Else))"),
]
OTHER_DATES = {
    "1970-01-01T00:00:00.0019Z": 1,
    "1970-02-30": 60 * dates.DAY_MS,
    "0000-01-01": -62_167_219_200_000,
    "5": 988_675_200_000,  # May 2001
}
NO_DATES = [
    *("", "never", "1700000000000", "1700000000", "999999", "1970-13-01", "1970-01-32", "13/13/1970", "12:00", "foo1"),
    *("1970-01-01T25:00", "1970-01-01T00:60", "1970-01-01T00:00:60", "1970-01-01T24:00:01", "1970-01-01T00"),
    *("1970-01-01T00:00+24:00", "1970-01-01T00:00 tomorrow", "1/1/1970 13:00 PM", "1 2 3 4", "1970-01-01 00:00:00.x"),
]


@pytest.mark.parametrize(("text", "moment"), [*((text, 0) for text in START), *OTHER_DATES.items()])
def test_texts_are_dates_as_in_v8(text, moment):
    """The format of ECMAScript, and what V8 reads besides."""
    assert dates.date_ms(text) == moment


@pytest.mark.parametrize("text", NO_DATES)
def test_other_texts_are_no_dates(text):
    """Least of all milliseconds or seconds since the epoch."""
    assert math.isnan(dates.date_ms(text))


@settings(max_examples=300, deadline=None, database=None)
@given(st.text(alphabet="0123456789:-+.()/, TZajnpmutcgé\u2028\u00a0", max_size=25))
def test_no_text_breaks_the_reading_of_dates(text):
    """Any text is a date within the range of dates, or none."""
    moment = dates.date_ms(text)

    assert math.isnan(moment) or abs(moment) <= 8.64e15


@pytest.mark.parametrize(
    ("now", "days", "then"),
    [
        ("2025-03-31T12:00Z", 31, "2025-02-28T12:00Z"),
        ("2025-03-31T12:00Z", 0.5, "2025-03-30T12:00Z"),
        ("2025-03-01T12:00Z", 1.5, "2025-02-28T12:00Z"),
        ("2025-03-01T12:00Z", -1, "2025-03-02T12:00Z"),
    ],
)
def test_days_ago_are_whole_days_of_the_calendar(now, days, then):
    """The day of the month is cut after the subtraction, as `setDate` does."""
    assert dates.days_before(dates.date_ms(now), days) == dates.date_ms(then)
