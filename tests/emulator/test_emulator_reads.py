"""What the reading endpoints answer: features held against a context, in the current API and in the legacy one."""

import json
from typing import Any

import pytest
import requests
from emulator_api import PUBLISHABLE


def context(field, operator, *values):
    """Return a filter on a field."""
    return {"type": "context", "field": field, "operator": operator, "values": list(values)}


def feature(key, *rules, **members):
    """Return a feature with these rules."""
    return {"key": key, "targeting": {"version": 7, "rules": [{"filter": rule} for rule in rules]}, **members}


YES, NO = {"type": "constant", "value": True}, {"type": "constant", "value": False}
VARIANTS = [
    {"key": "big", "payload": {"seats": [1, None]}, "filter": context("company.seats", "GT", "100")},
    {"key": "free", "filter": context("company.plan", "IS", "free")},
]
HUDDLE = feature(
    "huddle", NO, context("company.plan", "ANY_OF", "pro", "team"), config={"version": 3, "variants": VARIANTS}
)
DULL = feature("dull", context("user.role", "IS", "admin"))
EMPTY = feature("empty")
NO_OPT_IN = {"optInEnabled": False, "optIn": None}


@pytest.fixture
def with_features(api):
    """Return an emulator that has three features."""
    assert api.put("/_emulator/features", {"features": [HUDDLE, DULL, EMPTY]}).status_code == 200
    return api


def read(api, path, **query):
    """GET with a context: `company__plan` is `context.company.plan`, and what has no `__` is no context."""
    named = {f"context.{name.replace('__', '.')}" if "__" in name else name: value for name, value in query.items()}
    answer = api.session.get(api.url + path, params=named, timeout=10)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_evaluated_gives_every_feature_with_every_member(with_features):
    """S1's members, the errors of 2026, those that clients read, and the two of the first browser clients."""
    answer = read(with_features, "/features/evaluated", company__plan="pro", company__seats="101")

    assert answer == {
        "success": True,
        "remoteContextUsed": False,
        "flagStateVersion": with_features.get("/features").json()["flagStateVersion"],
        "features": {
            "huddle": {
                "key": "huddle",
                "isEnabled": True,
                "targetingVersion": 7,
                "ruleEvaluationResults": [False, True],
                "missingContextFields": [],
                "evaluationErrors": [],
                "value": True,
                "version": 7,
                **NO_OPT_IN,
                "config": {
                    "key": "big",
                    "name": "big",
                    "version": 3,
                    "default": False,
                    "payload": {"seats": [1, None]},
                    "ruleEvaluationResults": [True, False],
                    "missingContextFields": [],
                    "evaluationErrors": [],
                },
            },
            "dull": {
                "key": "dull",
                "isEnabled": False,
                "targetingVersion": 7,
                "ruleEvaluationResults": [False],
                "missingContextFields": ["user.role"],
                "evaluationErrors": [
                    {
                        "code": "MISSING_CONTEXT_FIELD",
                        "field": "user.role",
                        "message": "The context has no field user.role",
                    }
                ],
                "value": False,
                "version": 7,
                **NO_OPT_IN,
            },
            "empty": {
                "key": "empty",
                "isEnabled": False,
                "targetingVersion": 7,
                "ruleEvaluationResults": [],
                "missingContextFields": [],
                "evaluationErrors": [],
                "value": False,
                "version": 7,
                **NO_OPT_IN,
            },
        },
    }


def test_enabled_gives_only_what_is_on(with_features):
    """A feature that is off is left out."""
    answer = read(with_features, "/features/enabled", company__plan="pro")

    assert list(answer["features"]) == ["huddle"]
    assert answer["remoteContextUsed"] is False


def test_a_config_without_a_match_is_the_default(with_features):
    """No variant: key, name and payload are null, and the missing fields are the config's own."""
    config = read(with_features, "/features/evaluated", company__plan="team")["features"]["huddle"]["config"]

    assert (config["key"], config["name"], config["payload"], config["default"]) == (None, None, None, True)
    assert (config["ruleEvaluationResults"], config["missingContextFields"]) == ([False, False], ["company.seats"])


def test_a_key_limits_the_answer(with_features):
    """One feature, or none when it is not known."""
    assert list(read(with_features, "/features/evaluated", key="dull")["features"]) == ["dull"]
    assert read(with_features, "/features/evaluated", key="nobody")["features"] == {}
    assert read(with_features, "/features/enabled", key="dull")["features"] == {}


@pytest.mark.parametrize("query", ["key=", f"key={'k' * 256}", "context.user.id=%ff", "key=%c3%28"])
@pytest.mark.parametrize("path", ["/features/enabled", "/features/evaluated", f"/{PUBLISHABLE}/flags/evaluate"])
def test_a_query_beyond_the_limits_is_refused(with_features, path, query):
    """A key of no or too many characters, and what is not UTF-8, are a 400 with the query's own code."""
    answer = with_features.get(f"{path}?{query}")

    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "QUERY_VALIDATION_FAILED"
    assert answer.json()["error"]["validationErrors"]


@pytest.mark.parametrize("key", ["k", "k" * 255])
def test_a_key_within_the_limits_is_taken(with_features, key):
    """From 1 to 255 characters."""
    assert read(with_features, "/features/enabled", key=key)["features"] == {}


@pytest.mark.parametrize(
    ("query", "is_enabled"),
    [
        ("context.other.name=two+words", True),
        ("context.other.name=two%20words", True),
        ("context.other.name=one&context.other.name=two%20words", True),
        ("context.other.name=two%20words&context.other.name=one", False),
        ("context.otherContext.name=two%20words", False),
        ("other.name=two%20words", False),
        ("CONTEXT.other.name=two%20words&x=%&=&&", False),
        ("context.other.name=", False),
        ("", False),
    ],
)
def test_contexts_come_from_the_query(api, query, is_enabled):
    """Any root is taken, a plus is a blank, the later of two equal names wins, and other parameters do not matter."""
    api.put("/_emulator/features", {"features": [feature("f", context("other.name", "IS", "two words"))]})

    assert api.get(f"/features/evaluated?{query}").json()["features"]["f"]["isEnabled"] is is_enabled


def test_an_empty_value_is_not_an_absent_field(api):
    """`context.user.role=` is there, and is the empty text."""
    rules = [context("user.role", "IS", ""), {"type": "context", "field": "user.role", "operator": "SET"}]
    api.put("/_emulator/features", {"features": [feature("f", *rules)]})

    given, absent = (api.get(f"/features/evaluated?{query}").json() for query in ("context.user.role=", ""))

    assert given["features"]["f"]["ruleEvaluationResults"] == [True, False]
    assert given["features"]["f"]["missingContextFields"] == []
    assert absent["features"]["f"]["missingContextFields"] == ["user.role"]


def test_stored_attributes_lie_under_the_context(with_features):
    """What is known of the named user and company is used, flattened, and the request wins."""
    with_features.post("/company", {"companyId": 42, "attributes": {"plan": "pro", "seats": 200, "deep": {"er": [1]}}})
    with_features.post("/user", {"userId": "u", "attributes": {"role": "admin"}})

    both = read(with_features, "/features/evaluated", company__id="42", user__id="u")
    overruled = read(with_features, "/features/evaluated", company__id="42", company__plan="free")

    assert (both["features"]["huddle"]["isEnabled"], both["features"]["dull"]["isEnabled"]) == (True, True)
    assert both["features"]["huddle"]["config"]["key"] == "big"
    assert (both["remoteContextUsed"], overruled["remoteContextUsed"]) == (True, True)
    assert overruled["features"]["huddle"]["isEnabled"] is False
    assert overruled["features"]["dull"]["missingContextFields"] == ["user.role"]


@pytest.mark.parametrize("query", [{}, {"company__id": "nobody"}, {"company__id": "bare"}, {"user__id": "42"}])
def test_no_stored_attributes_are_not_used(with_features, query):
    """Somebody unknown, somebody without attributes, and a company's id for a user."""
    with_features.post("/company", {"companyId": "42", "attributes": {"plan": "pro"}})
    with_features.post("/company", {"companyId": "bare"})

    answer = read(with_features, "/features/evaluated", **query)

    assert answer["remoteContextUsed"] is False
    assert answer["features"]["huddle"]["isEnabled"] is False


def test_reading_leaves_nothing_behind(with_features):
    """An evaluation counts as a request, and creates no user, no company and no event."""
    read(with_features, "/features/evaluated", company__id="c", user__id="u")

    state = with_features.state()
    assert state.pop("requests") == 1
    assert set(state.values()) == {0}


def test_a_rollout_is_keyed_by_its_feature(api):
    """Without a key of its own a rollout hashes the feature's, as GET /features then shows."""
    rollout = {"type": "rolloutPercentage", "partialRolloutAttribute": "company.id", "partialRolloutThreshold": 50_000}
    own = {**rollout, "key": "first"}
    api.put(
        "/_emulator/features",
        {"features": [feature("first", rollout), feature("second", own), feature("third", rollout)]},
    )

    answers = [read(api, "/features/enabled", company__id=f"c{number}")["features"] for number in range(60)]

    assert all(("first" in on) is ("second" in on) for on in answers)
    assert any(("first" in on) is not ("third" in on) for on in answers)
    assert 15 < sum("first" in on for on in answers) < 45


def test_types_and_operators_nobody_knows_are_false(api):
    """They are taken as definitions, and no context fulfils them."""
    rules = [{"type": "moon", "phase": 1}, context("user.id", "LIKE", "u")]
    assert api.put("/_emulator/features", {"features": [feature("f", *rules)]}).status_code == 200

    assert read(api, "/features/evaluated", user__id="u")["features"]["f"]["ruleEvaluationResults"] == [False, False]


def nested(depth):
    """Return a filter inside so many negations."""
    node = YES
    for _ in range(depth):
        node = {"type": "negation", "filter": node}
    return node


@pytest.mark.parametrize(
    "rule",
    [context("a", "IS"), context("a", "AFTER"), {"type": "context", "field": "a", "operator": "GT"}, nested(100)],
)
def test_what_cannot_be_evaluated_is_malformed(api, rule):
    """A comparison with nothing, and filters nested without end."""
    answer = api.put("/_emulator/features", {"features": [feature("f", rule)]})

    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "BODY_VALIDATION_FAILED"


def test_a_payload_of_any_depth_is_taken_or_refused(with_features):
    """What cannot be written back is refused, and the features before it stay; nothing breaks in between."""
    for depth in (100, 900, *range(940, 1000, 4), 5000):
        payload = "[" * depth + "]" * depth
        config = {"version": 1, "variants": [{"key": "v", "filter": YES, "payload": "DEEP"}]}
        body = json.dumps({"features": [feature("f", config=config)]}).replace('"DEEP"', payload)
        taken = with_features.session.put(f"{with_features.url}/_emulator/features", data=body, timeout=10)

        assert taken.status_code in {200, 400}
        assert (payload in with_features.get("/features").text) is (taken.status_code == 200)
        assert (payload in with_features.get("/features/evaluated").text) is (taken.status_code == 200)


def test_members_that_nobody_here_knows_are_kept(api):
    """At every level, as they were sent; so what the real API gives can be put here, and read again."""
    more: dict[str, Any] = {"stage": {"name": "Beta", "assigned": [1, None]}}
    rule = {"filter": {**context("a", "IS", "1"), **more}, **more}
    variant = {"key": "v", "filter": {**YES, **more}, "payload": more, **more}
    known = {"key": "f", "description": "D", "link": None, "createdAt": "2026-01-01T00:00:00Z"}
    targeting, config = {"version": 1, "rules": [rule], **more}, {"version": 2, "variants": [variant], **more}
    sent = {"features": [{**known, "targeting": targeting, "config": config, **more}], **more}

    for _ in range(2):  # the second time as it was read
        assert api.put("/_emulator/features", sent).status_code == 200
        given = api.get("/features").json()
        assert {name: given[name] for name in ("features", "stage")} == sent
        sent = {name: given[name] for name in ("features", "stage")}


def test_deep_rules_are_evaluated(api):
    """As deep as they are taken."""
    assert api.put("/_emulator/features", {"features": [feature("f", nested(98))]}).status_code == 200

    assert read(api, "/features/evaluated")["features"]["f"]["isEnabled"] is True


@pytest.mark.parametrize("path", ["/flags/evaluate", "/features/enabled"])
def test_the_legacy_answer_is_a_superset(with_features, path):
    """With the key in the path: `flags` for the oldest clients, `features` for the later ones, what is on alone."""
    answer = requests.get(f"{with_features.url}/{PUBLISHABLE}{path}?context.company.plan=pro", timeout=10).json()

    assert (answer["success"], answer["remoteContextUsed"]) == (True, False)
    assert answer["flags"] == {"huddle": {"key": "huddle", "value": True, "version": 7}}
    assert answer["features"]["huddle"].items() >= {"key": "huddle", "isEnabled": True, "targetingVersion": 7}.items()


def test_the_current_answer_has_no_flags(with_features):
    """Only legacy clients look for them."""
    assert "flags" not in read(with_features, "/features/enabled", company__plan="pro")


@pytest.mark.parametrize("path", ["/feedback/prompting-init", "/feedback/prompt-events"])
def test_what_sdks_say_of_surveys_is_taken_and_forgotten(api, path):
    """There are no surveys: no channel is named, and nothing is kept. What is no object is refused."""
    assert api.post(path, {"userId": "u", "action": "shown"}).json() == {"success": True}
    assert api.post(path, []).status_code == 400
    assert api.post_bytes(path, b"{}", "text/plain").status_code == 400

    assert api.journal() == []
