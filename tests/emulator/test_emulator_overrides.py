"""Overriding one feature: for everybody, with a whole definition, and until it is lifted."""

import time

import pytest
from emulator_api import PUBLISHABLE, SECRET, Api

from bucket_loader.emulator.evaluation import features
from bucket_loader.emulator.http.server import running

PRO = {"type": "context", "field": "company.plan", "operator": "IS", "values": ["pro"]}
HUDDLE = {
    "key": "huddle",
    "description": "Talk",
    "stage": {"name": "beta"},
    "createdAt": "2026-01-01T00:00:00.000Z",
    "targeting": {"version": 4, "rules": [{"filter": PRO}]},
    "config": {"version": 2, "variants": [{"key": "small", "payload": {"rooms": 1}, "filter": PRO}]},
}
ON, OFF = ([{"filter": {"type": "constant", "value": value}}] for value in (True, False))


@pytest.fixture
def defined(api: Api):
    """Return the emulator with one feature, which is on for companies of the plan `pro`."""
    assert api.put("/_emulator/features", {"features": [HUDDLE]}).status_code == 200
    return api


def put(api, key, document):
    """Override a feature."""
    answer = api.put(f"/_emulator/features/{key}", document)
    assert answer.status_code == 200, answer.text


def lift(api, key):
    """Lift an override."""
    return api.session.delete(f"{api.url}/_emulator/features/{key}", timeout=10).status_code


def shown(api):
    """Return the definitions as a client reads them, by key."""
    return {feature["key"]: feature for feature in api.get("/features").json()["features"]}


def evaluated(api, plan="free"):
    """Return what the features are for a company of a plan, by key."""
    answer = api.get(f"/features/evaluated?context.company.plan={plan}").json()["features"]
    return {key: one["isEnabled"] for key, one in answer.items()}


def overridden(api):
    """Return the keys of what is overridden."""
    return [one["key"] for one in api.get("/_emulator/overrides").json()["overrides"]]


def test_on_and_off_for_everybody(defined: Api):
    """It is evaluated so, and stands so in the definitions; all else of the definition stays."""
    assert [evaluated(defined, plan) for plan in ("pro", "free")] == [{"huddle": True}, {"huddle": False}]

    put(defined, "huddle", {"isEnabled": True})

    assert evaluated(defined) == {"huddle": True}
    assert shown(defined) == {"huddle": {**HUDDLE, "link": None, "targeting": {"version": 5, "rules": ON}}}
    put(defined, "huddle", {"isEnabled": False})
    assert evaluated(defined, "pro") == {"huddle": False}
    assert shown(defined)["huddle"]["targeting"] == {"version": 5, "rules": OFF}
    assert overridden(defined) == ["huddle"]
    assert lift(defined, "huddle") == 200
    assert shown(defined) == {"huddle": {**HUDDLE, "link": None}}
    assert overridden(defined) == []


def test_with_a_config_that_everybody_gets(defined: Api):
    """Its key and payload reach who has it; without a payload it is null."""
    put(defined, "huddle", {"isEnabled": True, "config": {"key": "large", "payload": [1, {"a": None}]}})

    config = defined.get("/features/evaluated").json()["features"]["huddle"]["config"]
    assert (config["key"], config["payload"], config["version"]) == ("large", [1, {"a": None}], 3)
    put(defined, "huddle", {"isEnabled": True, "config": {"key": "bare"}})
    assert defined.get("/features/evaluated").json()["features"]["huddle"]["config"]["payload"] is None
    put(defined, "huddle", {"isEnabled": True})
    assert shown(defined)["huddle"]["config"] == HUDDLE["config"]


@pytest.mark.parametrize("key", ["new", "a/b c", "ü?#", "x" * 255])
def test_where_there_is_no_such_feature_it_makes_one(defined: Api, key):
    """Until it is lifted; the others stay, in their order."""
    path = key.replace("?", "%3F").replace("#", "%23")
    put(defined, path, {"isEnabled": True})

    assert evaluated(defined) == {"huddle": False, key: True}
    assert list(shown(defined)) == ["huddle", key]
    assert lift(defined, path) == 200
    assert list(shown(defined)) == ["huddle"]
    assert lift(defined, path) == 404


def test_with_a_whole_definition(defined: Api):
    """It stands in the place of the other one, with members that nobody here knows; its key is that of the path."""
    rule = {"filter": {**PRO, "values": ["free"]}}
    put(defined, "huddle", {"targeting": {"version": 9, "rules": [rule]}, "stage": "ga"})

    assert evaluated(defined) == {"huddle": True}
    found = shown(defined)["huddle"]
    assert (found["stage"], found["targeting"]["version"], "config" in found) == ("ga", 9, False)
    put(defined, "huddle", {"key": "huddle", "targeting": {"version": 9, "rules": []}})
    assert evaluated(defined, "pro") == {"huddle": False}


@pytest.mark.parametrize(
    "document",
    [{}, [], {"isEnabled": 1}, {"isEnabled": True, "other": 1}, {"isEnabled": True, "config": {}},
     {"isEnabled": True, "config": {"key": "a", "filter": {}}}, {"targeting": {}},
     {"key": "other", "targeting": {"version": 1, "rules": []}},
     {"targeting": {"version": 1, "rules": [{"filter": {"type": "context"}}]}},
     {"isEnabled": True, "targeting": {"version": 1}}],
)  # fmt: skip
def test_a_malformed_override_changes_nothing(defined: Api, document):
    """It is a 400, and the feature stays as it was."""
    before = defined.get("/features").content

    answer = defined.put("/_emulator/features/huddle", document)

    assert answer.status_code == 400
    assert answer.json()["error"]["message"].startswith("Malformed override: ")  # and what to do
    assert answer.json()["error"]["validationErrors"][0]["message"].startswith("malformed ")
    assert defined.get("/features").content == before


@pytest.mark.parametrize("end", ["put", "reset"])
def test_all_are_lifted_by_new_definitions_and_by_a_reset(defined: Api, end):
    """What is put later holds, whatever was overridden before."""
    put(defined, "huddle", {"isEnabled": True})
    put(defined, "new", {"isEnabled": True})

    if end == "put":
        defined.put("/_emulator/features", {"features": [HUDDLE]})
    else:
        defined.reset()

    assert overridden(defined) == []
    assert evaluated(defined) == ({"huddle": False} if end == "put" else {})


def test_each_change_has_a_later_version(defined: Api):
    """So clients take over what changed; what an override has made stays as it was made."""
    versions = [defined.get("/features").json()["flagStateVersion"]]
    made = set()
    for key, document in (("new", {"isEnabled": True}), ("huddle", {"isEnabled": True}), ("huddle", None)):
        lift(defined, key) if document is None else put(defined, key, document)
        versions.append(defined.get("/features").json()["flagStateVersion"])
        made.add(shown(defined)["new"]["createdAt"])

    assert versions == sorted(set(versions))
    assert len(made) == 1


def test_overrides_survive_a_kill(tmp_path):
    """With `--data`, and can be lifted afterwards: what they stand in front of is there too."""
    for end in ("kill", "terminate"):
        with running(data_dir=tmp_path, secret_key=SECRET, publishable_key=PUBLISHABLE) as endpoint:
            api = Api(endpoint)
            with api.session:
                if end == "kill":
                    api.put("/_emulator/features", {"features": [HUDDLE]})
                    put(api, "huddle", {"isEnabled": True})
                assert evaluated(api) == {"huddle": True}
                if end == "terminate":
                    assert lift(api, "huddle") == 200
                    assert evaluated(api) == {"huddle": False}
                getattr(endpoint.process, end)()


def test_many_definitions_are_read_quickly():
    """The time grows with their number, and not with its square: every override reads all of them again."""
    many = [{"key": f"feature-{number}", "targeting": {"version": 1, "rules": []}} for number in range(20_000)]
    begun_s = time.monotonic()

    features.read({"features": many}, version_min=1)

    assert time.monotonic() - begun_s < 3  # seconds; each with each takes ten
