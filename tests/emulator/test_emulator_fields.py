import json
from urllib.parse import quote

import pytest
from emulator_api import PUBLISHABLE
from hypothesis import given, settings, strategies as st

FEATURE_EVENT = {"action": "check", "key": "f", "evalResult": True}
SMALLEST = {
    "/user": {"userId": "u"},
    "/company": {"companyId": "c"},
    "/event": {"userId": "u", "event": "e"},
    "/feedback": {"userId": "u", "score": 3},
    "/features/events": FEATURE_EVENT,
}
TYPES = {
    "/user": "user",
    "/company": "company",
    "/event": "event",
    "/feedback": "feedback",
    "/features/events": "feature-flag-event",
}
NULL = None  # a field that is null
IDS_TAKEN = ["x", "  ", "00123", "ü/%", 1, 0, -7, 123456789012345678, 12.5]
IDS_REFUSED = ["", True, [], {}, ["u"]]
TIMES_TAKEN = [
    "2024-01-01T00:00:00.000Z",
    "2024-01-01T00:00:00Z",
    "2024-02-29T23:59:59.123456+05:30",
    "2024-01-01T00:00:00-0800",
    "2024-01-01T00:00Z",
    0,
    1700000000000,
    1700000000000.5,
    -1000,
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59.999Z",
    NULL,
]
TIMES_REFUSED = [
    "",
    "yesterday",
    "2024-01-01",
    "2024-01-01T00:00:00",
    "2024-01-01 00:00:00Z",
    "2023-02-29T00:00:00Z",
    "2024-13-01T00:00:00Z",
    "2024-01-01T25:00:00Z",
    "2024-01-01T00:00:60Z",
    "20240101T000000Z",
    "1700000000000",
    "2024-01-01T00:00:00.000Z ",
    "2024-01-01T00:00:00Z\n",
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59-14:00",
    "٢٠٢٤-01-01T00:00:00Z",
    True,
    {},
    1e17,
    -1e17,
]
OBJECTS_TAKEN = [{}, {"a": 1, "b": "x", "c": True, "d": None, "e": 1.5, "f": [1, {"g": []}], "h": {"i": 1}}, NULL]
OBJECTS_REFUSED = [[], "x", 1, True]
CONTEXTS_TAKEN = [{}, {"active": True}, {"active": False}, {"active": None}, {"active": False, "other": 1}, NULL]
CONTEXTS_REFUSED = [[], "x", True, {"active": "false"}, {"active": 0}]


def texts(longest, shortest=1):
    """Return texts at and beyond the edges of a length in characters."""
    taken = ["a" * shortest, "ü" * longest, NULL]
    return taken, ["", "a" * (shortest - 1), "a" * (longest + 1), 1, True, [], {}]


def rules():
    """List every field with values that are taken and values that are refused."""
    for path, field in [("/user", "userId"), ("/company", "companyId"), ("/event", "userId"), ("/feedback", "userId")]:
        yield path, field, IDS_TAKEN, [*IDS_REFUSED, NULL]
    for path, field in [("/company", "userId"), ("/event", "companyId"), ("/feedback", "companyId")]:
        yield path, field, [*IDS_TAKEN, NULL], IDS_REFUSED
    for path in ("/user", "/company", "/event"):
        yield path, "attributes", OBJECTS_TAKEN, OBJECTS_REFUSED
        yield path, "context", CONTEXTS_TAKEN, CONTEXTS_REFUSED
    for path in ("/user", "/company", "/event", "/feedback"):
        yield path, "timestamp", TIMES_TAKEN, TIMES_REFUSED
        yield path, "somethingElse", [1, {}, NULL], []
    yield "/event", "event", ["e", "x" * 5000], ["", 1, True, NULL, [], {}]
    yield "/feedback", "score", [0, 1, 5, 0.5, 4.75], [-1, -0.1, 5.1, 6, "5", True, [], {}]
    yield "/feedback", "comment", *texts(4000)
    yield "/feedback", "featureId", *texts(14)
    yield "/feedback", "key", *texts(255)
    yield "/feedback", "feedbackId", ["x", NULL], ["", 1, [], {}]
    yield "/feedback", "promptId", *texts(40, shortest=10)
    yield "/feedback", "promptId", ["text"], ["texts", "Text"]  # the reference's own example sends it
    yield "/feedback", "question", *texts(256)
    yield "/feedback", "promptedQuestion", *texts(256)
    yield "/feedback", "source", ["api", "manual", "prompt", "sdk", "widget", NULL], ["", "API", "other", 1]
    actions = [
        "evaluate",
        "check",
        *(f"{verb}-{what}" for verb in ("evaluate", "check") for what in ("is-enabled", "config")),
    ]
    yield "/features/events", "action", actions, ["", "Check", "other", 1, NULL]
    yield "/features/events", "key", ["k", "k" * 255], ["", "k" * 256, 1, NULL]
    yield "/features/events", "evalResult", [True, False, {}, {"key": "v", "payload": {}}, NULL], ["true", 1, []]
    yield "/features/events", "targetingVersion", [0, 1, 1.5, NULL], [-1, "1", True]
    yield "/features/events", "evalContext", OBJECTS_TAKEN, OBJECTS_REFUSED
    yield "/features/events", "evalRuleResults", [[], [True, False], NULL], [[1], ["x"], {}, True]
    yield "/features/events", "evalMissingFields", [[], ["a", ""], NULL], [[1], "a", {}]
    yield "/features/events", "somethingElse", [1, {}, NULL], []


def cases(which):
    """Return one case for each value that is taken, or refused."""
    for path, field, taken, refused in rules():
        for value in taken if which == "taken" else refused:
            yield pytest.param(path, field, value, id=f"{path[1:]}.{field}={json.dumps(value)[:30]}")


@pytest.mark.parametrize(("path", "field", "value"), list(cases("taken")))
def test_a_value_is_taken(api, path, field, value):
    """A value within its field's limits is taken by every endpoint, and the journal holds what was sent."""
    item = {**SMALLEST[path], field: value}

    alone = api.post(path, item)
    legacy = api.post(f"/{PUBLISHABLE}{path}", item)
    bulk = api.post("/bulk", [{"type": TYPES[path], **item}])

    assert {alone.status_code, legacy.status_code, bulk.status_code} == {200}, alone.text + legacy.text + bulk.text
    assert [line["item"] for line in api.journal()] == [item, item, {"type": TYPES[path], **item}]


@pytest.mark.parametrize(("path", "field", "value"), list(cases("refused")))
def test_a_value_is_refused(api, path, field, value):
    """A value beyond its field's limits is a 400 of every endpoint that names the field, in a list with its index."""
    item = {**SMALLEST[path], field: value}

    alone = mistakes(api.post(path, item))
    legacy = mistakes(api.post(f"/{PUBLISHABLE}{path}", item))
    bulk = mistakes(api.post("/bulk", [{"type": TYPES[path], **SMALLEST[path]}, {"type": TYPES[path], **item}]))

    assert len(alone) == 1
    assert alone[0].startswith((f"{field}:", f"{field}.", f"{field}["))
    assert legacy == alone
    assert bulk == [f"[1].{alone[0]}"]
    if path == "/features/events":
        assert mistakes(api.post(path, [SMALLEST[path], item])) == bulk
    assert api.journal() == []


def mistakes(answer):
    """Return what a refusal names; it must be a refusal of the body."""
    assert (answer.status_code, answer.json()["success"]) == (400, False)
    assert answer.json()["error"]["code"] == "BODY_VALIDATION_FAILED"
    return [mistake["message"] for mistake in answer.json()["error"]["validationErrors"]]


@pytest.mark.parametrize(
    ("path", "missing"),
    [
        ("/user", "userId"),
        ("/company", "companyId"),
        ("/event", "userId"),
        ("/event", "event"),
        ("/feedback", "userId"),
        ("/features/events", "action"),
        ("/features/events", "key"),
    ],
)
def test_a_required_field_is_named_when_it_is_missing(api, path, missing):
    """A record without a required field is a 400 that names it."""
    item = {name: value for name, value in SMALLEST[path].items() if name != missing}

    for target in (path, f"/{PUBLISHABLE}{path}"):
        assert mistakes(api.post(target, item))[0].startswith(f"{missing}: ")
    assert mistakes(api.post("/bulk", [{"type": TYPES[path], **item}]))[0].startswith(f"[0].{missing}: ")


@pytest.mark.parametrize("item", [{"userId": "u"}, {"userId": "u", "score": None, "comment": None}])
def test_feedback_needs_a_score_or_a_comment(api, item):
    """Feedback that says nothing is refused; null says nothing."""
    assert mistakes(api.post("/feedback", item)) == ["score: neither a score nor a comment is there"]
    assert mistakes(api.post("/bulk", [{"type": "feedback", **item}]))[0].startswith("[0].score: ")


@pytest.mark.parametrize(
    "item", [{"score": 1}, {"comment": "x"}, {"score": 1, "comment": None}, {"score": None, "comment": "x"}]
)
def test_feedback_with_either_is_taken(api, item):
    """A score alone, or a comment alone, is feedback; a feature need not be named."""
    assert api.post("/feedback", {"userId": "u", **item}).status_code == 200


@pytest.mark.parametrize("content_type", ["application/json", "application/json; charset=utf-8", "Application/JSON"])
def test_json_content_types_are_taken(api, content_type):
    """Parameters and case of the content type do not matter."""
    assert api.post_bytes("/user", b'{"userId":"u"}', content_type).status_code == 200


@pytest.mark.parametrize(
    "content_type", [None, "", "text/plain", "application/x-www-form-urlencoded", "application/jsonp"]
)
def test_other_content_types_are_refused(api, content_type):
    """A POST that does not say it is JSON is a 400."""
    answer = api.session.post(
        f"{api.url}/user", data=b'{"userId":"u"}', headers={"Content-Type": content_type}, timeout=10
    )

    assert answer.status_code == 400
    assert "Content-Type" in answer.json()["error"]["message"]


def test_feature_events_come_as_a_list_or_as_one(api):
    """POST /features/events takes a list of any length, and a single object."""
    for document in ([], FEATURE_EVENT, [FEATURE_EVENT], [FEATURE_EVENT] * 3):
        assert api.post("/features/events", document).status_code == 200

    assert api.state()["feature_events"] == 5
    assert {line["type"] for line in api.journal()} == {"feature-flag-event"}


def test_bulk_names_every_bad_item(api):
    """One bad item refuses the whole bulk, and each bad one is named, index first."""
    items = [{"type": "user", "userId": str(number)} for number in range(20)]
    items[3] = {"type": "user"}
    items[17] = {"type": "event", "userId": None, "event": "e"}
    items[18] = {"type": "event", "userId": "u", "event": "e", "timestamp": "never"}
    items[19] = 5

    answer = api.post("/bulk", items)

    assert answer.status_code == 400
    named = [mistake["message"].split(": ")[0] for mistake in answer.json()["error"]["validationErrors"]]
    assert named == ["[3].userId", "[17].userId", "[18].timestamp", "[19]"]
    assert api.state()["users"] == 0
    assert api.journal() == []


@pytest.mark.parametrize("kind", ["", "User", "nothing", "feature_event", None, 1])
def test_bulk_refuses_unknown_types(api, kind):
    """An item must say what it is."""
    answer = api.post("/bulk", [{"type": kind, "userId": "u"}])

    assert answer.status_code == 400
    assert answer.json()["error"]["validationErrors"][0]["message"].startswith("[0].type: ")


@pytest.mark.parametrize("kind", ["prompt-event", "channel-status-event"])
def test_bulk_takes_and_forgets_what_only_sdks_send(api, kind):
    """A type that no document names is taken from the SDKs, and leaves nothing behind."""
    assert api.post("/bulk", [{"type": kind, "userId": "u"}, {"type": "user", "userId": "u"}]).status_code == 200

    assert [line["type"] for line in api.journal()] == ["user"]


def test_an_empty_bulk_is_taken(api):
    """Nothing to do is done."""
    assert api.post("/bulk", []).json() == {"success": True}


MALFORMED = {
    "nothing": b"",
    "blank": b"  ",
    "not JSON": b"userId=u",
    "cut short": b'[{"type":"user","userId":"u"',
    "trailing comma": b'[{"type":"user","userId":"u"},]',
    "two documents": b"[] []",
    "NaN": b'[{"type":"user","userId":"u","attributes":{"a":NaN}}]',
    "infinite": b'[{"type":"user","userId":1e999}]',
    "byte order mark": b"\xef\xbb\xbf[]",
    "UTF-16": '[{"type":"user","userId":"u"}]'.encode("utf-16"),
    "bad UTF-8": b'[{"type":"user","userId":"\xff"}]',
    "bad UTF-8 in a field that nobody reads": b'[{"type":"user","userId":"u","x":"\xff"}]',
    "control character": b'[{"type":"user","userId":"a\nb"}]',
    "deep": b'[{"type":"user","userId":"u","attributes":{"a":' + b"[" * 50_000 + b"]" * 50_000 + b"}}]",
    "deep in a field that nobody reads": b'[{"type":"user","userId":"u","x":' + b"[" * 50_000 + b"]" * 50_000 + b"}]",
    "deep and unclosed": b"[" * 100_000,
    "a long number": b'[{"type":"user","userId":' + b"9" * 10_000 + b"}]",
    "an object": b"{}",
    "null": b"null",
    "a text": b'"user"',
}


@pytest.mark.parametrize("body", list(MALFORMED.values()), ids=list(MALFORMED))
@pytest.mark.parametrize("path", ["/bulk", "/user", "/features/events"])
def test_malformed_bodies_are_refused(api, path, body):
    """Whatever is sent, the answer is a 400 in the envelope that says why."""
    answer = api.post_bytes(path, body.strip(b"[]") if path == "/user" and body.startswith(b"[{") else body)

    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "BODY_VALIDATION_FAILED"
    assert answer.json()["error"]["validationErrors"]
    assert api.journal() == []


CUT = r"cut \ud83d and \udc00, not \ud83d\ude00 or \\ud83d"  # as JSON has it: two halves, a whole, no escape at all
SHOWN = "cut � and �, not 😀 or \\ud83d"


@pytest.mark.parametrize("path", ["/bulk", "/user"])
def test_a_text_that_was_cut_in_the_middle_of_a_pair_is_accepted(api, path):
    """`JSON.stringify` writes half a pair as it is: the sign for what cannot be shown stands in its place."""
    item = f'{{"type": "user", "userId": "{CUT}", "attributes": {{"name": "{CUT}", "tags": ["{CUT}"]}}}}'
    answer = api.post_bytes(path, (f"[{item}]" if path == "/bulk" else item).encode())

    assert answer.json() == {"success": True}
    assert api.journal()[0]["item"]["attributes"] == {"name": SHOWN, "tags": [SHOWN]}
    assert api.user(quote(SHOWN, safe=""))["attributes"]["name"] == SHOWN
    arrived = api.get(f"/_emulator/timeline?kind=user&id={quote(SHOWN, safe='')}").json()["items"]
    assert [json.loads(one["text"])["userId"] for one in arrived] == [SHOWN]


def test_what_else_is_wrong_with_such_a_body_is_named(api):
    """A text that was cut hides no mistake, and is shown beside it in the log of requests."""
    answer = api.post_bytes("/bulk", rb'[{"type":"user","userId":"u"},{"type":"user","note":"\ud83d"}]')

    mistake = "[1].userId: is missing"
    assert answer.json()["error"]["validationErrors"] == [{"message": mistake}]
    noted = api.get("/_emulator/requests?refused=true").json()["requests"][0]["wrong"]
    assert noted == [{"message": mistake, "item": r'{"type":"user","note":"\ufffd"}'}]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["type", "userId", "event", "attributes"]), inner),
)


@settings(max_examples=150, deadline=None, database=None)
@given(body=st.binary() | JSON.map(lambda document: json.dumps(document).encode()))
@pytest.mark.parametrize("path", ["/bulk", "/event", "/features/events"])
def test_no_body_breaks_it(shared_api, path, body):
    """Whatever the body, the answer is a 200 or a 400 of the API's own."""
    answer = shared_api.post_bytes(path, body)

    assert answer.status_code in {200, 400}
    assert answer.json()["success"] is (answer.status_code == 200)


def test_a_huge_body_is_413(api):
    """A body beyond the cap is refused in the envelope, and the connection lives on."""
    answer = api.post_bytes("/bulk", b"[" + b" " * (9 * 1024 * 1024) + b"]")

    assert answer.status_code == 413
    assert answer.json()["success"] is False
    assert api.post("/bulk", []).status_code == 200


def test_a_chunked_body_is_read(api):
    """A body without a Content-Length is as good as another."""
    pieces = iter([b'[{"type":"user",', b'"userId":"u"}]'])

    assert api.post_bytes("/bulk", pieces).status_code == 200
    assert api.state()["users"] == 1


def test_a_body_of_several_megabytes_is_read_whole(api):
    """A body below the cap is taken, however many pieces it comes in."""
    items = [{"type": "user", "userId": f"user-{number}", "attributes": {"a": "x" * 1000}} for number in range(4000)]

    assert api.post("/bulk", items).status_code == 200
    assert api.state()["users"] == 4000
