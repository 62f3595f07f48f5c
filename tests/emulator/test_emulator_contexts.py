"""What changed in autumn 2026, from a client's side: `contextJson`, stored lists, and what answers say of errors."""

import json
from random import Random

import pytest
from emulator_api import PUBLISHABLE, SECRET, Api
from evaluation_drawn import drawn_context, drawn_rules
from evaluation_reading import read_rules

from bucket_loader.emulator.http.server import running
from bucket_loader.model import UsageError

ASKED = ("/features/evaluated", "/features/enabled", f"/{PUBLISHABLE}/features/enabled")


def asks(operator, *values, field="user.roles"):
    """Return a filter on a field."""
    return {"type": "context", "field": field, "operator": operator, "values": list(values)}


def define(api, *rules, **members):
    """Define one feature with these rules."""
    targeting = {"version": 1, "rules": [{"filter": rule} for rule in rules]}
    answer = api.put("/_emulator/features", {"features": [{"key": "f", "targeting": targeting, **members}]})
    assert answer.status_code == 200, answer.text


def ask(api, context=None, path="/features/evaluated", **query):
    """GET a path with a context as JSON."""
    given = {} if context is None else {"contextJson": context if isinstance(context, str) else json.dumps(context)}
    return api.session.get(api.url + path, params={**given, **query}, timeout=10)


def evaluated(api, context):
    """Return the one feature for a context."""
    answer = ask(api, context)
    assert answer.status_code == 200, answer.text
    return answer.json()["features"]["f"]


def of_size(size, filler="x"):
    """Return a context whose JSON has so many bytes."""
    empty = json.dumps({"other": {"x": ""}}, separators=(",", ":"))
    return empty.replace('""', f'"{filler * ((size - len(empty)) // len(filler.encode()))}"')


@pytest.mark.parametrize(
    "context",
    [
        {},
        {"user": {}, "company": {}, "other": {}},
        {"user": {"id": "u"}, "company": {"id": 42}, "other": {"id": ["a", "list"]}},
        {"user": {"id": 4.5, "a": None, "b": True, "c": 1.5, "d": "x", "e": [1, {"deep": {"er": {}}}, [[]]]}},
        {"user": {"profile": {"roles": ["a"], "x": None, "y": [{"z": {"": {}}}]}, "empty": {}}},
        f'{{"user":{{"id":{"9" * 25},"n":[{"9" * 400}]}}}}',
        '{"user":{"name":"cut \\ud83d","x":"\\ude00 \\ud83d\\ude00","path":"\\\\ud83d"}}',
        of_size(16_384),
        of_size(16_384, "ü"),
    ],
)
def test_contexts_within_the_rules_are_taken(api, context):
    """Three objects or none, ids as text or number, and values of every allowed kind, up to the very last byte."""
    for path in ASKED:
        assert ask(api, context, path).status_code == 200


@pytest.mark.parametrize(
    ("context", "said"),
    [
        ("", "not a JSON object"),
        ("{", "not a JSON object"),
        ('{"user":{"x":NaN}}', "not a JSON object"),
        ("[]", "not a JSON object"),
        ("null", "not a JSON object"),
        ('"text"', "not a JSON object"),
        ('{"other":{"x":' + "[" * 300 + "]" * 300 + "}}", "nested too deeply"),
        ({"user": []}, "user: must be an object"),
        ({"company": None}, "company: must be an object"),
        ({"other": "x"}, "other: must be an object"),
        ({"otherContext": {"x": 1}}, "otherContext: not one of user, company, other"),
        ({"user": {"id": ["u"]}}, "user.id: must be a text or a number"),
        ({"company": {"id": {"x": 1}}}, "company.id: must be a text or a number"),
        ({"user": {"id": None}}, "user.id: must be a text or a number"),
        ({"user": {"id": True}}, "user.id: must be a text or a number"),
        ({"user": {"profile": {"settings": {"roles": ["a"]}}}}, "user.profile.settings: an object inside an object"),
        ({"other": {"a": {"b": {}}}}, "other.a.b: an object inside an object"),
        (of_size(16_385), "16385"),
        (of_size(16_386, "ü"), "16386"),
    ],
)
def test_contexts_beyond_the_rules_are_refused(api, context, said):
    """What is malformed, of another shape or too large is a 400 of the query's code, which says what is wrong."""
    for path in ASKED:
        answer = ask(api, context, path)

        assert answer.status_code == 400
        assert answer.json()["error"]["code"] == "QUERY_VALIDATION_FAILED"
        assert said in answer.json()["error"]["validationErrors"][0]["message"]


def test_a_text_that_was_cut_in_a_pair_can_be_asked_about(api):
    """`JSON.stringify` may send half of a pair; the field is there, and whole pairs and backslashes stay."""
    define(
        api,
        asks("IS", "\U0001f600", field="user.x"),
        asks("IS", r"\ud83d", field="user.y"),
        asks("SET", field="user.z"),
    )

    cut = r'{"user":{"x":"\ud83d\ude00","y":"\\ud83d","z":"\ud83d"}}'

    assert evaluated(api, cut)["ruleEvaluationResults"] == [True, True, True]


@pytest.mark.parametrize(
    "query",
    [
        "contextJson={}&contextJson={}",
        "contextJson={}&context.user.id=u",
        "context.x=&contextJson={}",
        "contextJson={}&context=x",
        "contextJson={}&context.=",
        "contextJson=%ff",
    ],
)
@pytest.mark.parametrize("path", ASKED)
def test_a_context_comes_once_and_in_one_form(api, path, query):
    """Twice, beside the older form, and what is not UTF-8: refused, and counted as such."""
    answer = api.get(f"{path}?{query}")

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "QUERY_VALIDATION_FAILED")
    assert api.state()["refused"] == 1


def test_a_context_of_json_is_evaluated(api):
    """Its lists are one field each, its numbers are texts, and the older form goes on for single values."""
    define(api, asks("ANY_OF", "admin"), asks("IS", "admin", field="user.roles.0"), asks("IS", "2", field="other.n"))

    assert evaluated(api, {"user": {"roles": ["x", "admin"]}, "other": {"n": 2.0}})["ruleEvaluationResults"] == [
        True,
        False,
        True,
    ]
    older = api.get("/features/evaluated?context.user.roles.0=admin&context.other.n=2").json()["features"]["f"]
    assert older["ruleEvaluationResults"] == [False, True, True]


def test_answers_say_which_rules_could_not_be_decided(api):
    """`evaluationErrors` of the feature and of its config: each error once, in the order in which it was met."""
    missing, listed = asks("IS", "x", field="user.absent"), asks("GT", "1")
    rollout = {"type": "rolloutPercentage", "partialRolloutAttribute": "user.roles", "partialRolloutThreshold": 100_000}
    variants = [{"key": "v", "filter": {"type": "negation", "filter": missing}}]
    define(
        api,
        missing,
        {"type": "negation", "filter": missing},
        listed,
        rollout,
        config={"version": 1, "variants": variants},
    )

    feature = evaluated(api, {"user": {"roles": ["a"]}})

    told = [{name: error[name] for name in error if name != "message"} for error in feature["evaluationErrors"]]
    assert told == [
        {"code": "MISSING_CONTEXT_FIELD", "field": "user.absent"},
        {"code": "UNSUPPORTED_ARRAY_OPERATOR", "field": "user.roles", "operator": "GT"},
        {"code": "UNSUPPORTED_ARRAY_OPERATOR", "field": "user.roles", "operator": "rolloutPercentage"},
    ]
    assert all(error["message"] for error in feature["evaluationErrors"])
    assert feature["isEnabled"] is False
    assert feature["missingContextFields"] == ["user.absent"]
    assert feature["config"]["key"] is None
    assert [error["code"] for error in feature["config"]["evaluationErrors"]] == ["MISSING_CONTEXT_FIELD"]


def test_without_errors_there_is_an_empty_list(api):
    """A client may go through `evaluationErrors` without a look whether it is there."""
    define(api, {"type": "constant", "value": True})

    assert evaluated(api, {})["evaluationErrors"] == []


def test_answers_agree_with_the_second_reading(api):
    """Also through HTTP: what is asked with `contextJson` is what the description says."""
    drawn = [Random(seed) for seed in range(1_000_000, 1_000_040)]  # noqa: S311  # repeatable, not secret
    contexts = [drawn_context(chance) for chance in drawn]
    rules = [drawn_rules(chance) for chance in drawn]
    features = [{"key": f"f{number}", "targeting": {"version": 1, "rules": some}} for number, some in enumerate(rules)]
    api.put("/_emulator/features", {"features": features})

    for context in contexts:
        shown = ask(api, context).json()["features"]
        for number, some in enumerate(rules):
            read, one = read_rules(some, context), shown[f"f{number}"]
            assert (one["isEnabled"], one["ruleEvaluationResults"]) == (read.value, read.results), (some, context)
            assert one["missingContextFields"] == read.missing
            assert [(e["code"], e["field"], e.get("operator")) for e in one["evaluationErrors"]] == read.errors


def test_checks_may_say_which_errors_they_met(api):
    """Clients that evaluate by themselves send `evalErrors`, with codes that only they have."""
    check = {"action": "check", "key": "f", "evalResult": False, "evalErrors": [{"code": "CLIENT_NOT_INITIALIZED"}]}

    assert api.post("/features/events", check).status_code == 200
    assert api.post("/bulk", [{"type": "feature-flag-event", **check}]).status_code == 200
    assert [line["item"]["evalErrors"] for line in api.journal()] == [check["evalErrors"]] * 2


# --- what is stored ------------------------------------------------------------------------------------------------


def stored(api, attributes):
    """Send a user, a company and both in bulk; return the attributes that all of them have."""
    api.post("/user", {"userId": "u", "attributes": attributes})
    api.post("/company", {"companyId": "c", "attributes": attributes})
    bulk = [
        {"type": "user", "userId": "b", "attributes": attributes},
        {"type": "company", "companyId": "b", "attributes": attributes},
        {"type": "event", "userId": "b", "event": "e", "attributes": attributes},
    ]
    assert api.post("/bulk", bulk).status_code == 200
    kept = [api.user("u"), api.user("b"), api.company("c"), api.company("b")]
    assert all(one["attributes"] == kept[0]["attributes"] for one in kept)
    return kept[0]["attributes"]


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ({"roles": ["a", "b"]}, {"roles": ["a", "b"]}),
        ({"x": [1, 1.50, True, None, "", "null"]}, {"x": ["1", "1.5", "true", "", "", "null"]}),
        ({"x": [{"a": [1, None]}, ["ü", {}]]}, {"x": ['{"a":[1,null]}', '["ü",{}]']}),
        ({"text": "[1]", "n": 1, "none": None}, {"text": "[1]", "n": 1, "none": None}),
        ({"profile": {"roles": [1], "deep": {"er": [2]}}}, {"profile": {"roles": ["1"], "deep": {"er": ["2"]}}}),
        ({"x": [0] * 900}, {"x": "[TRUNCATED]"}),
        ({"x": [""] * 667}, {"x": "[TRUNCATED]"}),
        ({"x": [""] * 666}, {"x": [""] * 666}),
        ({"x": ["ü" * 1996]}, {"x": ["ü" * 1996]}),
        ({"x": ["ü" * 1997], "y": 1}, {"x": "[TRUNCATED]", "y": 1}),
        ({"x": ["\x01" * 332]}, {"x": ["\x01" * 332]}),
        ({"x": ["\x01" * 333, "y"]}, {"x": "[TRUNCATED]"}),
        ({"x": ["\U0001f600" * 998]}, {"x": ["\U0001f600" * 998]}),
        ({"x": ["\U0001f600" * 999]}, {"x": "[TRUNCATED]"}),
        ({"deep": {"x": ['"' * 1000]}}, {"deep": {"x": "[TRUNCATED]"}}),
        ({"__proto__": 1, "a": 2}, {"a": 2}),
        ({"constructor": [1], "prototype": {"x": 1}, "a": 2}, {"a": 2}),
        ({"a.__proto__": 1, "constructor.b": 1, "a.prototype.b": 1, "a.b": 1}, {"a.b": 1}),
        ({"a": {"__proto__": 1, "b": {"prototype": [1], "c": 1}}}, {"a": {"b": {"c": 1}}}),
        ({"x": [{"__proto__": 1, "y": [{"a.constructor": 1, "b\0": []}]}]}, {"x": ['{"y":[{"b":[]}]}']}),
        ({"__pro\0to__": 1, "a.cons\0tructor": 1, "na\0me": 1}, {"name": 1}),
        (
            {"protocol": 1, "my constructor": 1, "a.prototypes": 1},
            {"protocol": 1, "my constructor": 1, "a.prototypes": 1},
        ),
    ],
)
def test_attributes_are_kept_in_the_form_of_2026(api, sent, kept):
    """Items are texts, a list over a limit is a text of its own, and unsafe names are dropped, without an error."""
    assert stored(api, sent) == kept
    assert [line["item"]["attributes"] for line in api.journal()] == [sent] * 5  # the journal keeps what was sent


def test_more_than_a_thousand_items_are_truncated(api):
    """Whatever the server's limit of characters is; here that one is met first, as every item takes three."""
    assert stored(api, {"x": [""] * 1001}) == {"x": "[TRUNCATED]"}


def test_an_update_replaces_the_whole_list(api):
    """It shrinks, it grows, and an empty one clears it; other attributes stay."""
    define(api, asks("ANY_OF", "b"), asks("NOT_SET"))
    results = []
    for roles in (["a", "b"], ["a"], ["a", "b", "c"], []):
        api.post("/user", {"userId": "u", "attributes": {"roles": roles, "x": 1}})
        api.post("/user", {"userId": "u", "attributes": {"y": ["1"]}})
        assert api.user("u")["attributes"] == {"roles": roles, "x": 1, "y": ["1"]}
        results.append(evaluated(api, {"user": {"id": "u"}})["ruleEvaluationResults"])

    assert results == [[True, False], [False, False], [True, False], [False, True]]


def test_a_list_of_the_request_wins_over_the_stored_one(api):
    """As a whole, and not item by item."""
    define(api, asks("ANY_OF", "stored"), asks("ANY_OF", "sent"))
    api.post("/user", {"userId": "7", "attributes": {"roles": ["a", "stored"], "x": 1}})

    answer = ask(api, {"user": {"id": 7, "roles": ["sent"]}}).json()

    assert answer["remoteContextUsed"] is True
    assert answer["features"]["f"]["ruleEvaluationResults"] == [False, True]


def test_who_has_a_feature_is_found_by_lists_too(api):
    """The page counts with the same evaluation."""
    define(api, asks("CONTAINS", "admin"))
    for number, roles in enumerate((["admin"], ["x", "admin"], ["administrator"], "admin")):
        api.post("/user", {"userId": f"u{number}", "attributes": {"roles": roles}})

    found = api.get("/_emulator/holders?feature=f&kind=user").json()

    assert [item["id"] for item in found["items"]] == ["u0", "u1", "u3"]


def test_names_are_unsafe_however_they_are_spelt(api):
    """JSON may spell any letter by its number."""
    body = rb'{"userId":"u","attributes":{"__pr\u006fto__":1,"c\u006fnstructor":{},"a":{"pr\u006ftotype":1,"b":2}}}'
    assert api.post_bytes("/user", body).status_code == 200

    assert api.user("u")["attributes"] == {"a": {"b": 2}}


@pytest.mark.parametrize("digits", [25, 400])
def test_a_number_of_any_length_may_be_in_a_list(api, digits):
    """It is a text there, as JavaScript writes it."""
    long = "9" * digits
    assert api.post_bytes("/user", b'{"userId":"u","attributes":{"x":[%s]}}' % long.encode()).status_code == 200

    assert api.user("u")["attributes"] == {"x": ["1e+25" if digits == 25 else "Infinity"]}


# --- the evaluation of 2025 ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def older_api():
    """Return an emulator of 2025; from Python a number will do."""
    with running(secret_key=SECRET, publishable_key=PUBLISHABLE, evaluation=2025) as endpoint:
        api = Api(endpoint)
        yield api
        api.session.close()


def test_the_evaluation_of_2025_is_as_it_was(older_api):
    """Indexes are names, a negated absence holds, answers have no `evaluationErrors`, and lists stay as sent."""
    absent = asks("IS", "x", field="user.absent")
    define(older_api, asks("IS", "admin", field="user.roles.0"), asks("SET"), {"type": "negation", "filter": absent})
    sent = {"roles": ["admin", 1, None], "__proto__": 1, "long": ["x" * 3000]}
    older_api.post("/user", {"userId": "u", "attributes": sent})

    by_name = older_api.get("/features/evaluated?context.user.id=u").json()["features"]["f"]
    by_json = evaluated(older_api, {"user": {"roles": ["admin"]}})

    assert older_api.user("u")["attributes"] == sent
    assert by_name == by_json
    assert by_name["ruleEvaluationResults"] == [True, False, True]
    assert by_name["missingContextFields"] == ["user.absent"]
    assert "evaluationErrors" not in by_name


def test_what_is_kept_in_a_folder_can_be_opened_with_either(tmp_path):
    """The folder holds what was sent; its form is made at the start."""
    sent = {"x": [1, None], "prototype": 1}
    for edition, kept in (("2025", sent), ("2026", {"x": ["1", ""]})):
        with running(secret_key=SECRET, data_dir=tmp_path, evaluation=edition) as endpoint:
            api = Api(endpoint)
            if not api.state()["users"]:
                api.post("/user", {"userId": "u", "attributes": sent})
            assert api.user("u")["attributes"] == kept
            api.session.close()


def test_an_evaluation_of_another_year_is_refused(capfd):
    """The message says which there are."""
    with pytest.raises(UsageError), running(evaluation="2024"):
        pass

    assert "give 2025 or 2026" in capfd.readouterr().err
