"""The control API's queries of a store: search, timeline, who has a feature, the log of requests."""

import asyncio

import pytest
from emulator_api import Api

from bucket_loader.emulator.environment import Environment
from bucket_loader.emulator.inspector import pace, timelines
from bucket_loader.emulator.store import wire
from bucket_loader.emulator.store.journal import Entry, TemporaryJournal
from bucket_loader.emulator.store.keys import Keys

CONSTANT = {"type": "constant", "value": True}


def look(api: Api, path, most=1000):
    """Follow a look to its end, and return all that it found."""
    found, after = [], None
    for _ in range(most):
        answer = api.get(path + (f"&after={after}" if after else "")).json()
        found += answer.get("items", answer.get("found", []))
        after = answer["next"]
        if answer["isComplete"]:
            assert answer["seen"] == answer["total"]
            return found
    raise AssertionError("it never came to its end")


def texts(items):
    """Return what a timeline holds, without what the clock decides."""
    return [(item["request"], item["type"], item["text"]) for item in items]


def test_a_timeline_is_what_arrived_in_order(api: Api):
    """Only what names the user, as it was sent, from single calls and from bulk, with its request."""
    api.post_bytes("/user", b'{"userId": "u", "attributes": {"n": 1.50}}')
    api.post_bytes("/bulk", b'[{"type":"user","userId":"other"},{"type":"event","userId":"u","event":"\xc3\xa9"}]')
    api.post("/user", {"userId": "u", "timestamp": "refused"})
    api.post_bytes("/company", b'{"companyId":"c","userId":"u"}')

    items = look(api, "/_emulator/timeline?kind=user&id=u")

    assert texts(items) == [
        (1, "user", '{"userId": "u", "attributes": {"n": 1.50}}'),
        (2, "event", '{"type":"event","userId":"u","event":"é"}'),
        (4, "company", '{"companyId":"c","userId":"u"}'),
    ]
    assert texts(look(api, "/_emulator/timeline?kind=company&id=c")) == texts(items)[2:]


@pytest.mark.parametrize("limit", [1, 2, 3, 7])
def test_a_timeline_can_be_taken_up_anywhere(api: Api, limit):
    """Whatever the limit, the pieces are the whole: nothing twice, nothing missing, also within one call."""
    for call in range(4):
        api.post("/bulk", [{"type": "event", "userId": f"u{item % 2}", "event": f"{call}-{item}"} for item in range(9)])

    pieces = look(api, f"/_emulator/timeline?kind=user&id=u0&limit={limit}")

    assert texts(pieces) == texts(look(api, "/_emulator/timeline?kind=user&id=u0&limit=500"))
    assert len(pieces) == 20


def test_a_finished_timeline_goes_on_with_what_comes_later(api: Api):
    """The place where a look ended is where the next one begins."""
    api.post("/user", {"userId": "u"})
    before = api.get("/_emulator/timeline?kind=user&id=u").json()

    api.post("/event", {"userId": "u", "event": "later"})

    after = api.get(f"/_emulator/timeline?kind=user&id=u&after={before['next']}").json()
    assert [item["type"] for item in after["items"]] == ["event"]


@pytest.mark.parametrize(
    ("body", "identifier"),
    [
        (b'{"userId":42}', "42"),
        (b'{"userId":42.0}', "42"),
        (b'{"userId":4.2e1}', "42"),
        (b'{"userId":"\\u0061\\u0062"}', "ab"),
        (b'{"userId":"a\\/b"}', "a/b"),
        (b'{"userId":"\xc3\xa9"}', "é"),
        (b'{"userId":"u","companyId":["any"],"event":1e5}', "u"),
    ],
)
def test_a_timeline_knows_an_id_however_it_is_spelt(api: Api, body, identifier):
    """Numbers and escapes are the id that the store makes of them."""
    assert api.post_bytes("/user", body).status_code == 200

    found = api.session.get(
        f"{api.url}/_emulator/timeline", params={"kind": "user", "id": identifier}, timeout=5
    ).json()

    assert [item["text"] for item in found["items"]] == [body.decode()]


@pytest.mark.parametrize("context", [{"user": {"id": "u"}}, {"user.id": "u"}])
def test_a_check_of_a_feature_is_in_the_timeline_of_whom_it_names(api: Api, context):
    """Feature events name people in their context, nested or flat."""
    api.post("/features/events", [{"action": "check", "key": "f", "evalResult": True, "evalContext": context}])

    assert [item["type"] for item in look(api, "/_emulator/timeline?kind=user&id=u")] == ["feature-flag-event"]


def test_a_long_item_is_cut(api: Api):
    """A look stays small, whatever was sent."""
    api.post("/user", {"userId": "u", "attributes": {"long": "x" * 1_000_000}})

    assert len(api.get("/_emulator/timeline?kind=user&id=u").content) < 10_000


def test_a_search_goes_by_id_and_by_attributes(api: Api):
    """An exact id comes first; case does not matter; companies and users are both found."""
    api.post("/bulk", [
        {"type": "user", "userId": "xacmex"},
        {"type": "user", "userId": "u", "attributes": {"employer": "ACME Ltd"}},
        {"type": "user", "userId": "acme"},
        {"type": "company", "companyId": "c", "attributes": {"name": "The Acme"}},
        {"type": "user", "userId": "nobody"},
    ])  # fmt: skip

    found = look(api, "/_emulator/search?text=acme")

    assert [(one["kind"], one["id"], one["isExact"]) for one in found] == [
        ("user", "acme", True), ("company", "c", False), ("user", "xacmex", False), ("user", "u", False),
    ]  # fmt: skip
    assert found[1]["name"] == "The Acme"
    assert [one["id"] for one in look(api, "/_emulator/search?text=acme&limit=1")] == [one["id"] for one in found]


def test_who_has_a_feature(api: Api):
    """A user is held against the feature in its default company; the variant is told."""
    rule = {"type": "context", "field": "company.plan", "operator": "IS", "values": ["pro"]}
    config = {"version": 1, "variants": [{"key": "big", "filter": CONSTANT, "payload": {}}]}
    feature = {"key": "f", "targeting": {"version": 1, "rules": [{"filter": rule}]}, "config": config}
    api.put("/_emulator/features", {"features": [feature]})
    for number in range(120):
        api.post("/company", {"companyId": f"c{number}", "userId": f"u{number}",
                              "attributes": {"plan": "pro" if number % 3 == 0 else "free"}})  # fmt: skip

    users = look(api, "/_emulator/holders?feature=f&kind=user&limit=7")
    counted = api.get("/_emulator/holders?feature=f&kind=company&limit=0").json()

    assert [user["id"] for user in users] == [f"u{number}" for number in range(0, 120, 3)]
    assert {user["variant"] for user in users} == {"big"}
    assert (counted["have"], counted["checked"], counted["items"]) == (40, 120, [])


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("timeline", 400),
        ("timeline?kind=user", 400),
        ("timeline?kind=tenant&id=u", 400),
        ("timeline?kind=user&id=u&after=1", 400),
        ("timeline?kind=user&id=u&after=-1.0", 400),
        ("timeline?kind=user&id=u&limit=501", 400),
        ("timeline?kind=user&id=u&limit=-1", 400),
        ("timeline?kind=user&id=u&limit=0", 400),
        ("search?text=a&limit=0", 400),
        ("timeline?kind=user&id=u&after=999999999999999.999999999999999", 200),
        ("timeline?kind=user&id=%FF%00", 200),
        ("search", 400),
        ("search?text=a&after=x", 400),
        ("search?text=a&after=999999999999999", 200),
        ("holders?feature=none&kind=user", 404),
        ("holders?kind=user", 400),
        ("requests?refused=perhaps", 400),
        ("requests?limit=9999999999999999999", 400),
        ("companies/none?limit=5", 404),
    ],
)
def test_a_look_that_makes_no_sense_is_refused(api: Api, path, status):
    """Each parameter is checked, and the answer is the API's envelope."""
    answer = api.get(f"/_emulator/{path}")

    assert answer.status_code == status
    assert status == 200 or answer.json()["success"] is False


def test_a_company_of_many_users_can_be_asked_for_few(api: Api):
    """With a limit, only so many users are named, and all are counted."""
    api.post("/bulk", [{"type": "company", "companyId": "c", "userId": f"u{number}"} for number in range(30)])

    some, whole = api.get("/_emulator/companies/c?limit=2").json(), api.company("c")

    assert (some["users"], some["usersTotal"]) == (["u0", "u1"], 30)
    assert len(whole["users"]) == 30
    assert "usersTotal" not in whole


def test_the_log_shows_what_was_wrong_and_where(api: Api):
    """A refused call comes with its mistakes and the items they are in; a good one with how many records it brought."""
    api.post("/bulk", [{"type": "user", "userId": "good"}, {"type": "user", "userId": "", "attributes": {"bad": 1}}])
    api.post("/bulk", [{"type": "user", "userId": str(number)} for number in range(5)])
    api.post_bytes("/user", b'{"userId": "u"' + b" " * 5000 + b"oops}")

    broken, good, bad = api.get("/_emulator/requests").json()["requests"]

    assert (good["status"], good["records"], good["wrong"]) == (200, 5, [])
    assert bad["wrong"] == [
        {"message": "[1].userId: must not be empty",
         "item": '{"type": "user", "userId": "", "attributes": {"bad": 1}}'},
    ]  # fmt: skip
    assert "oops" in broken["wrong"][0]["item"]
    assert [call["request"] for call in api.get("/_emulator/requests?refused=true").json()["requests"]] == [3, 1]


def test_a_thousand_good_calls_do_not_hide_a_bad_one(api: Api):
    """The refused are kept apart."""
    api.post("/user", {"userId": ""})
    for number in range(1001):
        api.post("/user", {"userId": str(number)})

    refused = api.get("/_emulator/requests?refused=true&limit=5").json()["requests"]

    assert [call["request"] for call in refused] == [1]
    assert len(api.get("/_emulator/requests?limit=100000").json()["requests"]) == 1000


def test_the_faults_that_are_ordered_can_be_read(api: Api):
    """What is ordered, with its seed and how often each fault struck; no order, no faults."""
    assert api.get("/_emulator/faults").json()["faults"] == []
    api.fault({"kind": "html", "times": 1}, seed=9)
    api.post("/user", {"userId": "u"})

    shown = api.get("/_emulator/faults").json()

    assert shown["seed"] == 9
    assert [(fault["kind"], fault["times"], fault["struck"]) for fault in shown["faults"]] == [("html", 1, 1)]


def test_definitions_can_be_read_without_a_key(api: Api):
    """The page has no key: it sees what GET /features gives."""
    api.put("/_emulator/features", {"features": [{"key": "f", "targeting": {"version": 1, "rules": []}}]})

    assert api.get("/_emulator/features").json() == api.get("/features").json()


@pytest.mark.parametrize("place", [0, 1, 63, 64, 65, 128, 199, 200, 201, 10**15])
def test_a_journal_can_be_read_from_anywhere(place):
    """Places are how many calls came before, whatever the journal remembers of its file."""
    journal = TemporaryJournal()
    for number in range(1, 201):
        journal.append(Entry(number, 0.0, "user", b'{"userId":"%s"}' % (b"x" * number)))

    read = [(at, entry.request, len(entry.body)) for at, entry in journal.after(place)]
    journal.close()

    assert read == [(number, number, number + 13) for number in range(place + 1, 201)]


def test_a_look_ends_in_time(monkeypatch):
    """When its time is over, a look gives what it has, and where to go on."""
    monkeypatch.setattr(pace, "LOOK_S_MAX", 0)
    environment = Environment("main", Keys("s", "p"))
    for number in range(3):
        body = b'{"userId":"u"}'
        environment.accept(number, "user", body, wire.TYPES["user"](body))

    first = asyncio.run(timelines.timeline(environment, "user", "u", (0, 0), 50))
    second = asyncio.run(timelines.timeline(environment, "user", "u", (1, 0), 50))
    environment.close()

    assert (first.next, first.is_complete, len(first.items)) == ("1.0", False, 1)
    assert (second.next, second.is_complete, len(second.items)) == ("2.0", False, 1)
