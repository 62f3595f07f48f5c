"""`--strict`: what Bucket takes, and then drops or changes without an error, is refused."""

from pathlib import Path

import pytest
from emulator_api import PUBLISHABLE, SECRET, Api

from bucket_loader.emulator.http.server import running
from bucket_loader.emulator.store.strict import RULES

GUIDE = (Path(__file__).parents[2] / "docs" / "emulator.md").read_text("utf-8")
SAID = "--strict: Bucket takes this, and then drops or changes some of it"
LONG = ["x" * 10] * 200

REFUSED = {
    "an unsafe name": ({"__proto__": 1}, "attributes.__proto__: Bucket drops attributes of this name"),
    "a part of a name": ({"a.constructor.b": 1}, "attributes.a.constructor.b: Bucket drops attributes of this name"),
    "inside an object": ({"a": {"prototype": 1}}, "attributes.a.prototype: Bucket drops attributes of this name"),
    "in objects in lists": (
        {"a": [[{"prototype": 1}]]},
        "attributes.a.prototype: Bucket drops attributes of this name",
        "attributes.a: Bucket stores JSON text for an object or a list in a list",
    ),
    "NUL in it": (
        {"__pro\0to__": 1},
        "attributes.__proto__: Bucket drops attributes of this name",
        "attributes.__proto__: Bucket takes NUL out of the name",
    ),
    "NUL": ({"pl\0an": 1}, "attributes.plan: Bucket takes NUL out of the name"),
    "too many items": (
        {"tags": [1] * 1001},
        "attributes.tags: Bucket stores [TRUNCATED] for a list of more than 1000 items or 2000 characters",
    ),
    "too many characters": (
        {"a": {"tags": LONG}},
        "attributes.a.tags: Bucket stores [TRUNCATED] for a list of more than 1000 items or 2000 characters",
    ),
    "null in a list": ({"tags": ["a", None]}, "attributes.tags: Bucket stores the empty text for null in a list"),
    "a list in a list": ({"t": [[]]}, "attributes.t: Bucket stores JSON text for an object or a list in a list"),
    "an object in a list": ({"t": [{}]}, "attributes.t: Bucket stores JSON text for an object or a list in a list"),
    "names that meet": (
        {"a.b": 1, "a": {"b": 2}},
        "attributes.a.b: Bucket uses the later one of two values of one name",
    ),
    "names that meet in an empty object": (
        {"a.b": 1, "a": {"b": {}}},
        "attributes.a.b: Bucket uses the later one of two values of one name",
    ),
}
IS_OLD = {"names that meet", "names that meet in an empty object"}
TAKEN = [
    None, {}, {"proto": 1, "constructors": 2, "a.b": 3, "a": {"c": 4}}, {"tags": [1, True, "x"], "none": [], "o": {}},
    {"tags": ["x" * 95] * 20}, {"n": None, "a": {"n": None}}, {"text": '["a", null]'},
]  # fmt: skip


@pytest.fixture(scope="module")
def shared_api():
    """Run one strict emulator for this file."""
    with running(secret_key=SECRET, publishable_key=PUBLISHABLE, strict=True) as endpoint:
        api = Api(endpoint)
        with api.session:
            yield api


def refused(answer):
    """Return what was objected to."""
    assert answer.status_code == 400, answer.text
    error = answer.json()["error"]
    assert error["message"] == SAID
    return [mistake["message"] for mistake in error["validationErrors"]]


@pytest.mark.parametrize("case", REFUSED)
def test_attributes_that_would_not_be_kept_as_they_are(api: Api, case):
    """They are refused with their place, alone and in /bulk, and nothing of the call is applied."""
    attributes, *said = REFUSED[case]
    user = {"userId": "u", "attributes": attributes}

    assert refused(api.post("/user", user)) == said
    bulk = [{"type": "company", "companyId": "c", "userId": "u"}, {"type": "user", **user},
            {"type": "event", "event": "e", **user}]  # fmt: skip
    assert refused(api.post("/bulk", bulk)) == [f"[{place}].{one}" for place in (1, 2) for one in said]
    state = api.state()
    assert (state["users"], state["companies"], state["events"], state["refused"]) == (0, 0, 0, 2)
    assert api.get("/_emulator/requests?refused=true").json()["requests"][0]["wrong"][0]["item"].startswith('{"type"')


@pytest.mark.parametrize("attributes", TAKEN)
def test_attributes_that_are_kept_as_they_are(api: Api, attributes):
    """What Bucket stores as it is sent, or with another type of its items, is taken."""
    assert api.post("/user", {"userId": "u", "attributes": attributes}).status_code == 200


@pytest.mark.parametrize(
    ("path", "record", "said"),
    [("user", {"userId": "u", "attribute": {}, "companyId": "c"}, ["attribute", "companyId"]),
     ("company", {"companyId": "c", "userID": "u"}, ["userID"]),
     ("event", {"event": "e", "userId": "u", "companyId": "c", "properties": {}}, ["properties"]),
     ("feedback", {"userId": "u", "score": 1, "rating": 2}, ["rating"]),
     ("features/events", [{"action": "check", "key": "f", "value": True}], ["[0].value"]),
     ("user", {"userId": "u", "context": {"active": False, "ip": "::1"}}, ["context.ip"])],
)  # fmt: skip
def test_a_member_that_a_record_does_not_have(api: Api, path, record, said):
    """It would be ignored; it is most likely a mistyped one."""
    assert refused(api.post(f"/{path}", record)) == [f"{name}: Bucket ignores a member of this name" for name in said]


def test_the_members_that_clients_send_are_taken(api: Api):
    """`type` and `context`, wherever a record may have them, and the items that are of clients alone."""
    check = {"type": "feature-flag-event", "action": "check", "key": "f", "evalResult": None, "evalErrors": []}
    bulk = [{"type": "user", "userId": "u", "context": {"active": True}}, {"type": "prompt-event", "any": 1}, check]

    assert api.post("/bulk", bulk).status_code == 200
    assert api.post("/user", {"type": "user", "userId": "u", "context": None}).status_code == 200
    assert api.post("/feedback/prompting-init", {"userId": "u", "any": 1}).status_code == 200


def test_an_event_of_no_company(api: Api):
    """Its user has to be in one: since before, by an earlier record of the same body, or by the event itself."""
    event = {"type": "event", "userId": "u", "event": "e"}
    company = {"type": "company", "companyId": 1, "userId": "u"}
    said = "companyId: Bucket counts the event for no company, since its user is in none"

    assert api.post("/user", {"userId": "u"}).status_code == 200
    assert refused(api.post("/event", event)) == [said]
    assert refused(api.post("/event", {**event, "userId": "nobody"})) == [said]
    assert refused(api.post("/bulk", [event, company, event])) == [f"[0].{said}"]
    assert refused(api.post("/bulk", [{**company, "userId": "v"}, event])) == [f"[1].{said}"]
    assert refused(api.post("/bulk", [{"type": "feedback", "userId": "u", "score": 1, "companyId": 1}, event])) == [
        f"[1].{said}"
    ]
    assert api.post("/bulk", [{**event, "userId": 7, "companyId": 1}, {**event, "userId": "7"}]).status_code == 200
    assert api.post("/company", company).status_code == 200
    assert api.post("/event", event).status_code == 200
    assert api.state()["unassociated_events"] == 0


@pytest.mark.parametrize(
    ("query", "said"),
    [("context.user.id=1&context.user.id=2", "context.user.id"), ("key=a&key=b", "key"),
     ('contextJson={"user":{"a.b":1,"a":{"b":2}}}', "contextJson.user.a.b")],
)  # fmt: skip
def test_a_context_with_two_values_of_one_name(api: Api, query, said):
    """Only the later one would be used."""
    assert refused(api.get(f"/features/evaluated?{query}")) == [
        f"{said}: Bucket uses the later one of two values of one name"
    ]


@pytest.mark.parametrize("query", ["", "context.user.id=1&context.user.ids=1&bucket-sdk-version=1&bucket-sdk-version=2",
                                   'contextJson={"user":{"a.b":1,"a":{"c":[1,1]}}}'])  # fmt: skip
def test_a_context_that_is_used_as_it_is(api: Api, query):
    """It is evaluated."""
    assert api.get(f"/features/enabled?{query}").status_code == 200


def test_the_management_api_is_strict_too(api: Api):
    """In its own form of refusal."""
    app = api.get("/api/bootstrap").json()["org"]["apps"][0]
    url = f"{api.url}/api/apps/{app['id']}/envs/{app['environments'][0]['id']}/users/u"

    answer = api.session.put(url, json={"attributes": {"__proto__": 1}}, timeout=10)

    assert answer.status_code == 400
    assert "Bucket drops attributes of this name" in answer.text
    assert api.session.put(url, json={"attributes": {"plan": "pro"}}, timeout=10).status_code == 200


@pytest.mark.parametrize("evaluation", ["2026", "2025"])
def test_without_it_all_that_is_taken(evaluation):
    """As Bucket does. As it was before autumn 2026, names and lists were kept, so strictness takes them as well."""
    old = {case: body for case, body in REFUSED.items() if case not in IS_OLD} if evaluation == "2025" else {}
    with running(strict=evaluation == "2025", evaluation=evaluation) as endpoint:
        api = Api(endpoint)
        with api.session:
            for attributes, *_ in (old or REFUSED).values():
                assert api.post("/user", {"userId": "u", "attributes": attributes}).status_code == 200
            alone = api.post("/event", {"userId": "v", "event": "e"})
            twice = api.get("/features/evaluated?key=a&key=b")
            meeting = api.post("/user", {"userId": "u", "attributes": REFUSED["names that meet"][0]})

    assert {one.status_code for one in (alone, twice, meeting)} == {400 if evaluation == "2025" else 200}


def test_the_guide_has_every_rule():
    """Its table is the table of rules."""
    table = GUIDE.partition("| refused by `--strict` |")[2].partition("\n\n")[0].splitlines()[2:]

    assert [line[2:].split(" | ")[:2] for line in table] == [[rule.what, rule.becomes] for rule in RULES]
