import pytest

PASSIVE = {"active": False}
JANUARY, FEBRUARY, MARCH = (f"2024-0{month}-01T00:00:00.000Z" for month in (1, 2, 3))


def test_attributes_merge_one_by_one(api):
    """A later call changes what it names and leaves the rest; a nested value is replaced whole."""
    api.post("/user", {"userId": "u", "attributes": {"name": "A", "plan": "free", "nested": {"a": 1, "b": 2}}})
    api.post(
        "/bulk", [{"type": "user", "userId": "u", "attributes": {"plan": "pro", "nested": {"a": 3}, "none": None}}]
    )
    api.post("/user", {"userId": "u"})

    assert api.user("u")["attributes"] == {"name": "A", "plan": "pro", "nested": {"a": 3}, "none": None}
    assert api.state()["users"] == 1


def test_attributes_of_companies_merge_too(api):
    """Companies are updated as users are."""
    api.post("/company", {"companyId": "c", "attributes": {"name": "A"}})
    api.post("/company", {"companyId": "c", "attributes": {"seats": 3}})

    assert api.company("c")["attributes"] == {"name": "A", "seats": 3}


@pytest.mark.parametrize(
    ("sent", "text"), [(17, "17"), (17.0, "17"), (1e3, "1000"), (12.5, "12.5"), (2**53 + 1, str(2**53 + 1))]
)
def test_numeric_ids_are_their_decimal_text(api, sent, text):
    """A number and its text are the same user, and the same company."""
    api.post("/user", {"userId": sent})
    api.post("/event", {"userId": text, "event": "e", "companyId": sent})

    assert api.state()["users"] == api.state()["companies"] == 1
    assert api.user(text)["companies"] == [text]


def test_ids_are_exact(api):
    """Leading zeros, case and blanks tell users apart."""
    for user_id in ("123", "00123", "A", "a", " a"):
        api.post("/user", {"userId": user_id})

    assert api.state()["users"] == 5


def test_ids_may_need_quoting_in_a_path(api):
    """An id with slashes, percent signs or question marks can be looked up."""
    api.post("/user", {"userId": "a/b%2F c?d#é"})

    assert api.get("/_emulator/users/a%2Fb%252F%20c%3Fd%23%C3%A9").json()["userId"] == "a/b%2F c?d#é"


def test_a_company_call_associates_its_user(api):
    """POST /company with userId makes the user a member, and the company the default."""
    api.post("/company", {"companyId": "c", "userId": "u"})

    assert api.company("c")["users"] == ["u"]
    assert (api.user("u")["companies"], api.user("u")["defaultCompany"]) == (["c"], "c")


def test_an_event_without_company_goes_to_the_default(api):
    """The company a user was last seen acting in gets the events that name none."""
    api.post("/company", {"companyId": "first", "userId": "u"})
    api.post("/event", {"userId": "u", "event": "e", "companyId": "second"})
    api.post("/event", {"userId": "u", "event": "e"})

    assert api.user("u")["defaultCompany"] == "second"
    assert api.user("u")["companies"] == ["first", "second"]
    assert (api.user("u")["events"], api.company("first")["events"], api.company("second")["events"]) == (2, 0, 2)


def test_a_passive_call_changes_no_default(api):
    """A background sync of companies does not move anybody's default, but gives one to who has none."""
    api.post("/company", {"companyId": "first", "userId": "u", "context": PASSIVE})
    api.post("/company", {"companyId": "second", "userId": "u", "context": PASSIVE})

    assert api.user("u")["defaultCompany"] == "first"
    assert api.user("u")["companies"] == ["first", "second"]


def test_unassociated_events_are_those_of_users_who_are_in_no_company(api):
    """In whatever order events and companies come: a user who is in one later is in one."""
    events = [{"type": "event", "userId": user, "event": "e"} for user in ("u", "v", "u")]
    company = {"type": "company", "companyId": "c", "userId": "u"}

    found = []
    for items in ([company, *events], [*events, company]):
        api.reset()
        api.post("/bulk", items)
        found.append(api.state()["unassociated_events"])

    assert found == [1, 1]


def test_events_of_users_without_company_are_unassociated(api):
    """An event whose user belongs to no company counts for the user, and as unassociated."""
    api.post("/event", {"userId": "u", "event": "e"})
    api.post("/event", {"userId": "u", "event": "e", "companyId": None})

    assert api.state()["unassociated_events"] == api.state()["events"] == 2
    assert api.user("u")["events"] == 2
    assert api.user("u")["defaultCompany"] is None


def test_first_and_last_seen_follow_the_timestamps(api):
    """Activity is dated by its timestamp, in whatever order it arrives."""
    for moment in (FEBRUARY, MARCH, JANUARY):
        api.post("/event", {"userId": "u", "event": "e", "companyId": "c", "timestamp": moment})

    for seen in (api.user("u"), api.company("c")):
        assert (seen["firstSeen"], seen["lastSeen"]) == (JANUARY, MARCH)


@pytest.mark.parametrize(
    "moment", ["2024-01-01T01:00:00+01:00", "2024-01-01T00:00:00Z", 1704067200000, 1704067200000.4]
)
def test_timestamps_mean_the_same_in_every_form(api, moment):
    """Offsets and milliseconds are the same moment."""
    api.post("/user", {"userId": "u", "timestamp": moment})

    assert api.user("u")["lastSeen"] == JANUARY


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00.000Z", "1969-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999Z"])
def test_moments_far_away_are_shown(api, moment):
    """Also the edges of the calendar can be stored and read back."""
    api.post("/user", {"userId": "u", "timestamp": moment})

    assert api.user("u")["firstSeen"] == moment


def test_passive_calls_are_no_activity(api):
    """With active false, attributes change and first and last seen do not."""
    api.post("/user", {"userId": "u", "attributes": {"a": 1}, "context": PASSIVE, "timestamp": JANUARY})
    assert (api.user("u")["firstSeen"], api.user("u")["lastSeen"]) == (None, None)

    api.post("/company", {"companyId": "c", "userId": "u", "timestamp": FEBRUARY, "context": {}})
    api.post("/company", {"companyId": "c", "userId": "u", "timestamp": MARCH, "context": PASSIVE})
    api.post("/event", {"userId": "u", "event": "e", "companyId": "c", "timestamp": MARCH, "context": PASSIVE})

    assert api.user("u")["lastSeen"] == api.company("c")["lastSeen"] == FEBRUARY
    assert api.company("c")["events"] == 1


def test_a_call_without_timestamp_is_now(api):
    """What has no timestamp is dated when it comes in."""
    api.post("/user", {"userId": "u"})

    assert api.user("u")["lastSeen"].startswith("20")
    assert api.user("u")["lastSeen"].endswith("Z")


def test_feedback_gets_an_id_that_amends_it(api):
    """The id that is given back, sent again, is the same feedback."""
    first = api.post("/feedback", {"userId": "u", "score": 1}).json()["feedbackId"]
    other = api.post("/feedback", {"userId": "u", "score": 1}).json()["feedbackId"]
    amended = api.post("/feedback", {"userId": "u", "comment": "better", "feedbackId": first}).json()["feedbackId"]

    assert first != other
    assert amended == first
    assert api.state()["feedback"] == 2
    assert len(api.journal()) == 3


def test_feedback_with_its_own_id_counts_once(api):
    """A feedbackId of the caller's is kept, alone and in bulk, also one that looks like ours."""
    for feedback_id in ("mine", "mine", "fdb_local_00000099", "fdb_local_" + "9" * 50):
        answer = api.post("/feedback", {"userId": "u", "score": 1, "feedbackId": feedback_id})
        assert answer.json()["feedbackId"] == feedback_id
    api.post("/bulk", [{"type": "feedback", "userId": "u", "score": 1, "feedbackId": "mine"}])

    assert api.state()["feedback"] == 3
    assert api.state()["users"] == 0


def test_state_counts_everything(api):
    """The state has all eight counts, and nothing else."""
    api.post(
        "/bulk",
        [
            {"type": "user", "userId": "u"},
            {"type": "company", "companyId": "c"},
            {"type": "event", "userId": "u", "event": "e"},
            {"type": "feedback", "userId": "u", "score": 1},
            {"type": "feature-flag-event", "action": "check", "key": "f"},
        ],
    )
    api.post("/user", {})
    api.get("/features")

    assert api.state() == {
        "users": 1,
        "companies": 1,
        "events": 1,
        "feedback": 1,
        "feature_events": 1,
        "unassociated_events": 1,
        "requests": 3,
        "refused": 1,
    }


def test_the_journal_holds_every_item_in_order(api):
    """Each line has the number of the request, the type and the item; refused calls leave gaps in the numbers."""
    api.post("/user", {"userId": "u"})
    api.post("/user", {})
    api.post("/bulk", [{"type": "event", "userId": "u", "event": "e"}, {"type": "company", "companyId": "c"}])

    assert api.journal() == [
        {"request": 1, "type": "user", "item": {"userId": "u"}},
        {"request": 3, "type": "event", "item": {"type": "event", "userId": "u", "event": "e"}},
        {"request": 3, "type": "company", "item": {"type": "company", "companyId": "c"}},
    ]


def test_the_journal_keeps_the_bytes(api):
    """Numbers keep their digits, and an item with line ends inside is still one line."""
    api.post_bytes(
        "/bulk", b'[\n {"type":"user",\r\n "userId":"u", "attributes":{"a":1.10,"b":12345678901234567890123}}\n]\n'
    )

    lines = api.get("/_emulator/journal").content.splitlines()

    assert len(lines) == 1
    assert b'{"a":1.10,"b":12345678901234567890123}' in lines[0]


def test_a_long_journal_is_streamed(api):
    """A journal that is larger than memory would like comes whole and in order."""
    for start in range(0, 20_000, 1000):
        items = [
            {"type": "user", "userId": f"{start + number:08d}", "attributes": {"x": "y" * 500}}
            for number in range(1000)
        ]
        assert api.post("/bulk", items).status_code == 200

    assert [line["item"]["userId"] for line in api.journal()] == [f"{number:08d}" for number in range(20_000)]


def test_unknown_users_and_companies_are_404(api):
    """What was never sent is not there."""
    for path in ("users/nobody", "companies/nothing", "nowhere"):
        answer = api.get(f"/_emulator/{path}")
        assert answer.status_code == 404
        assert answer.json()["success"] is False


def test_the_latest_requests_say_what_was_wrong(api):
    """The log names each call's status and error, newest first, and no more than asked for."""
    api.post("/user", {"userId": "u"})
    api.post("/user", {})

    newest, oldest = api.get("/_emulator/requests").json()["requests"]

    assert (newest["request"], newest["method"], newest["path"], newest["status"]) == (2, "POST", "/user", 400)
    assert "userId" in newest["error"]
    assert (oldest["status"], oldest["error"], oldest["fault"]) == (200, None, None)
    assert len(api.get("/_emulator/requests?limit=1").json()["requests"]) == 1
    assert api.get("/_emulator/requests?limit=x").status_code == 400


def test_reset_forgets_everything(api):
    """After a reset there are no users, no journal, no features and no faults, and requests count from 1."""
    api.post("/user", {"userId": "u"})
    api.put("/_emulator/features", {"features": [FEATURE]})
    api.fault({"kind": "html"})
    api.reset()

    assert set(api.state().values()) == {0}
    assert api.journal() == []
    assert api.get("/features").json()["features"] == []
    assert api.post("/user", {"userId": "u"}).json() == {"success": True}
    assert api.journal()[0]["request"] == 2


FILTER = {
    "type": "group",
    "operator": "and",
    "filters": [
        {"type": "context", "field": "company.tier", "operator": "IS", "values": ["gold"]},
        {"type": "negation", "filter": {"type": "constant", "value": False}},
        {"type": "rolloutPercentage", "partialRolloutAttribute": "company.id", "partialRolloutThreshold": 50000},
    ],
}
FEATURE = {"key": "huddle", "targeting": {"version": 42, "rules": [{"filter": FILTER}]}}


def test_features_are_given_as_they_were_put(api):
    """GET /features has every member that S1 and the SDKs expect, and fills in what was left out."""
    config = {
        "version": 1,
        "variants": [{"key": "blue", "payload": {"a": [1]}, "filter": {"type": "constant", "value": True}}],
    }
    feature = {**FEATURE, "createdAt": "2024-01-01T00:00:00.000Z", "description": "x", "link": None, "config": config}
    assert api.put("/_emulator/features", {"success": True, "features": [feature]}).status_code == 200

    document = api.get("/features").json()

    assert document["success"] is True
    rollout = {**FILTER["filters"][2], "key": "huddle"}
    filled = {**FILTER, "filters": [*FILTER["filters"][:2], rollout]}
    assert document["features"] == [{**feature, "targeting": {"version": 42, "rules": [{"filter": filled}]}}]


def test_small_features_are_completed(api):
    """A feature needs a key and a targeting; config stays absent."""
    api.put("/_emulator/features", {"features": [FEATURE]})

    document = api.get("/features").json()

    assert document["features"][0]["createdAt"].endswith("Z")
    assert document["features"][0]["link"] is None
    assert "config" not in document["features"][0]


def broken(**members):
    """Return a document whose feature has other members."""
    return {"features": [{**FEATURE, **members}]}


def ruled(node):
    """Return a document whose feature has this filter."""
    return broken(targeting={"version": 1, "rules": [{"filter": node}]})


@pytest.mark.parametrize(
    "document",
    [
        [],
        {},
        {"features": {}},
        {"features": [1]},
        {"features": [{}]},
        {"features": [FEATURE], "flagStateVersion": -1},
        {"features": [FEATURE, FEATURE]},
        broken(key=""),
        broken(key="k" * 256),
        broken(key=1),
        broken(targeting=None),
        broken(targeting={"version": 1}),
        broken(targeting={"rules": []}),
        broken(targeting={"version": "1", "rules": []}),
        broken(targeting={"version": 1, "rules": [{}]}),
        broken(config={"version": 1}),
        broken(config={"version": 1, "variants": [{"key": "v"}]}),
        ruled({}),
        ruled({"type": 1}),
        ruled({"type": "group", "filters": []}),
        ruled({"type": "group", "operator": "and", "filters": {}}),
        ruled({"type": "group", "operator": "and", "filters": [{"type": "context"}]}),
        ruled({"type": "negation"}),
        ruled({"type": "negation", "filter": {"type": "constant", "value": "yes"}}),
        ruled({"type": "context", "field": "a", "operator": "IS", "values": [1]}),
        ruled({"type": "rolloutPercentage", "partialRolloutAttribute": "a", "partialRolloutThreshold": "5"}),
    ],
)
def test_malformed_features_are_refused(api, document):
    """A definition that cannot be evaluated is a 400 that says where, and changes nothing."""
    api.put("/_emulator/features", {"features": [FEATURE]})

    answer = api.put("/_emulator/features", document)

    assert answer.status_code == 400
    assert answer.json()["error"]["validationErrors"][0]["message"]
    assert [feature["key"] for feature in api.get("/features").json()["features"]] == ["huddle"]
