"""What an assert file expects, held against an emulator: each kind of assertion holds, or fails with its difference."""

import json

import pytest
from workplace import KEY

from bucket_loader.config import load_assertions
from bucket_loader.model import Counts, Origin, Reason, Rejection, UsageError
from bucket_loader.reporting import Summary
from bucket_loader.runs.asserting.bucket import Bucket
from bucket_loader.runs.asserting.check import check
from bucket_loader.state import dead_letters

ITEMS = [
    {"type": "user", "userId": "u1", "context": {"active": False},
     "attributes": {"name": "Ada", "seats": 5, "ok": True, "none": None, "tags": ["a", 1], "a.b": 0.5}},
    {"type": "company", "companyId": "c1", "userId": "u1", "attributes": {"plan": "pro"},
     "context": {"active": False}},
    {"type": "company", "companyId": "c2", "userId": "u1", "attributes": {"plan": "free"},
     "context": {"active": False}},
    {"type": "user", "userId": "odd id/?#%2F ü"},
    {"type": "event", "userId": "u1", "event": "paid", "companyId": "c1", "attributes": {"amount": 5, "way": "card"},
     "timestamp": "2025-01-02T00:00:00.000Z"},
    {"type": "event", "userId": "u1", "event": "paid", "companyId": "c1", "attributes": {"amount": 7},
     "timestamp": "2025-01-03T00:00:00.000Z"},
    {"type": "feedback", "userId": "u1", "key": "huddle", "score": 4, "comment": "good"},
    {"type": "feature-flag-event", "action": "check", "key": "huddle", "evalResult": True, "evalContext": {"user": {}}},
]  # fmt: skip
FEATURES = [
    {"key": "huddle", "targeting": {"version": 1, "rules": [
        {"filter": {"type": "context", "field": "company.plan", "operator": "IS", "values": ["pro"]}}]}}
]  # fmt: skip
REJECTED = [("users", 3, ("missing", "column 'id' is empty", "userId")), ("events", 9, ("range", "is too early", "at"))]

HOLDS = """
counts: {users: 2, companies: 2, events: 2, feedback: 1, feature_events: 1, read: 9, delivered: 7, rejected: 2}
streams: {users: {read: 4, rejected: 1}, events: {superseded: 0}}
users:
  u1:
    attributes: {name: Ada, seats: 5.0, ok: true, none: null, tags: [a, "1"], a.b: 0.5}
    exactly: true
    companies: [c2, c1]
    defaultCompany: c1
    events: 2
    lastSeen: 2025-01-03
  odd id/?#%2F ü: {}
  u2: absent
companies:
  c1: {attributes: {plan: pro}, without: [name], users: u1, events: 2}
  c2:
events:
  - {userId: u1, count: 2}
  - {event: paid, timestamp: 2025-01-02T01:00:00+01:00, attributes: {amount: 5}}
  - {event: paid, attributes: {amount: 7}, exactly: true, count: 1}
  - {event: paid, without: way, count: 1}
  - {event: refunded, count: 0}
feedback:
  - {userId: u1, score: 4, companyId: null}
feature_events:
  - {action: check, evalResult: true, evalContext: {}}
rejected:
  - {stream: users, row: 3, reason: missing, field: userId}
  - {reason: is too early, count: 1}
  - {row: 4, count: 0}
features:
  huddle:
    on: {companies: c1, contexts: [{user: {id: u1}, company: {id: c1}}, {company: {plan: pro}}]}
    off: {companies: [c2], users: u1}
"""
# What is expected, and what the difference says.
DIFFERENCES = {
    "counts: {users: 3}": "1: users: expected 3, found 2",
    "counts: {rejected: 0}": "1: rejected: expected 0, found 2",
    "streams: {events: {read: 1}}": "1: stream events, read: expected 1, found 5",
    "users: {u1: {attributes: {name: ada}}}": '1: user u1, attribute name: expected "ada" (text), found "Ada" (text)',
    'users: {u1: {attributes: {seats: "5"}}}': '1: user u1, attribute seats: expected "5" (text), found 5 (number)',
    "users: {u1: {attributes: {ok: 1}}}": "1: user u1, attribute ok: expected 1, found true",
    "users: {u1: {attributes: {tags: [a, 1]}}}": '1: user u1, attribute tags: expected ["a", 1], found ["a", "1"]',
    "users: {u1: {attributes: {nam: Ada}}}": (
        '1: user u1, attribute nam: expected "Ada", found nothing\n      nearest: name: "Ada"'),
    "users: {u1: {attributes: {none: 5}}}": "1: user u1, attribute none: expected 5, found null",
    "users: {u1: {without: [name]}}": '1: user u1, attribute name: expected nothing, found "Ada"',
    "companies: {c1: {exactly: true}}": '1: company c1, attribute plan: expected nothing, found "pro"',
    "users: {u1: {companies: [c1]}}": '1: user u1, companies: expected ["c1"], found ["c1", "c2"]',
    "users: {u1: {lastSeen: null}}": '1: user u1, lastSeen: expected null, found "2025-01-03T00:00:00.000Z"',
    "users: {u1: {events: 3}}": "1: user u1, events: expected 3, found 2",
    "users: {u1: absent}": "1: user u1: expected it to be absent, found {",
    "companies: {\n\nc11: }": "3: company c11: expected it to be there, found nothing\n      nearest: c1",
    "events: [{event: payd, userId: u1}]": (
        '1: event {"userId": "u1", "event": "payd"}: expected one at least, found 0\n      nearest: {"userId": "u1", '),
    "events: [{event: paid, attributes: {amount: 6, way: card}}]": "which differs in amount",
    "events: [{event: paid, exactly: true, attributes: {amount: 5}}]": "which differs in way",
    "events: [{event: paid, timestamp: 2025-01-04, userId: u1}]": "which differs in timestamp",
    "events: [{event: paid, count: 1}]": '1: event {"event": "paid"}: expected 1, found 2',
    "feedback: [{score: 5}]": '1: feedback {"score": 5}: expected one at least, found 0\n      nearest: {"userId": ',
    "feature_events: [{evalResult: false}]": "which differs in evalResult",
    "rejected: [{stream: users, row: 4}]": (
        "1: rejected row (stream users, row 4): expected one at least, found 0\n      nearest: row 3 of stream users: "
        "missing: column 'id' is empty"),
    "rejected: [{stream: users, field: seats, reason: missing}]": "row (stream users, field seats, reason missing)",
    "rejected: [{stream: users, reason: range}]": "1: rejected row (stream users, reason range)",
    "rejected: [{stream: users, count: 2}]": "1: rejected row (stream users): expected 2, found 1",
    "rejected:\n- {stream: users}": (
        "1: a row that nothing here expects to be rejected: expected none, found row 9 of stream events: range: is"),
    "streams: {events: {rejected: 1}}": "expected none, found row 3 of stream users: missing",
    "features: {huddle: {on: {companies: [c2]}}}": "1: feature huddle for company c2: expected on, found off",
    "features:\n  huddle:\n    off: {companies: [c1]}": "3: feature huddle for company c1: expected off, found on",
    "features: {huddle: {on: {users: u1}}}": "found off (missing in the context: company.plan)",
    "features: {huddle: {off: {companies: c9}}}": (
        "1: feature huddle for company c9: expected off, found no company of this id in Bucket"),
    "features: {huddle: {off: {contexts: [{company: {id: c1}}]}}}": (
        '1: feature huddle for {"company": {"id": "c1"}}: expected off, found on'),
}  # fmt: skip


@pytest.fixture
def bucket(emulator):
    """An emulator that was loaded."""
    bucket = Bucket(emulator.url, KEY)
    assert bucket.define(FEATURES) == ["huddle"]
    emulator.load(ITEMS, KEY)
    return bucket


@pytest.fixture
def summary(tmp_path):
    """How the run ended that loaded it."""
    letters = dead_letters.DeadLetters(tmp_path / "letters.jsonl")
    for number, (stream, row, reason) in enumerate(REJECTED):
        rejection = Rejection("map", Origin("x.csv", row), (Reason(*reason),), {})
        letters.append([dead_letters.entry(rejection, run="r", stream=stream, number=str(number))])
    streams = {"users": Counts(read=4, delivered=3, rejected=1), "events": Counts(read=5, delivered=4, rejected=1)}
    return Summary("r", "t", "rejected", 3, "now", streams, dead_letters=str(letters.path))


def checked(tmp_path, bucket, summary, text):
    """Hold a test against what is there."""
    file = tmp_path / "t.yml"
    file.write_text(text)
    return check(load_assertions(file), bucket, summary)


def test_what_holds_holds(bucket, summary, tmp_path):
    """Every kind of assertion; rejected rows that are all expected are no failure."""
    found = checked(tmp_path, bucket, summary, HOLDS)

    assert [one.text for one in found.failed] == []
    assert (found.exit_code, found.checked) == (0, 46)


def test_rejected_rows_are_expected_by_their_number_too(bucket, summary, tmp_path):
    """Of all streams, or of each."""
    for text in ("counts: {rejected: 2}", "streams: {users: {rejected: 1}, events: {rejected: 1}}"):
        assert checked(tmp_path, bucket, summary, text).failed == ()


def test_what_does_not_hold_is_told_with_its_difference(bucket, summary, tmp_path):
    """What was expected, what was found, and what comes next to it, with the line of the file."""
    wrong = {}
    for text, words in DIFFERENCES.items():
        found = checked(tmp_path, bucket, summary, text)
        told = [one.text.removeprefix(f"{tmp_path}/t.yml:") for one in found.failed]
        if found.exit_code != 3 or not any(words in one for one in told):
            wrong[text] = told
    assert wrong == {}


def test_all_differences_are_told_in_the_order_of_the_file(bucket, summary, tmp_path):
    """Not the first alone."""
    text = "features: {huddle: {on: {companies: [c2]}}}\nusers: {u7: , u8: }\ncounts: {events: 1, rejected: 2}\n"
    found = checked(tmp_path, bucket, summary, text)

    assert [one.line for one in found.failed] == [1, 2, 2, 3]
    assert found.text.endswith("4 of 5 assertions do not hold")


def test_a_run_that_did_not_finish_is_not_looked_at(bucket, summary, tmp_path):
    """Its own exit code says more."""
    for status in ("failed", "stopped", "unfinished", "interrupted"):
        stopped = Summary("r", "t", status, 5, "now", summary.streams)
        assert checked(tmp_path, bucket, stopped, "counts: {users: 7}") is None


def test_many_rows_that_nobody_expects_are_counted(bucket, summary, tmp_path):
    """The first twenty are named."""
    letters = dead_letters.DeadLetters(tmp_path / "letters.jsonl")
    rejection = Rejection("map", Origin("x.csv", 1), (Reason("range", "no"),), {})
    letters.append(dead_letters.entry(rejection, run="r", stream="users", number=f"p{n}") for n in range(30))
    found = checked(tmp_path, bucket, summary, "counts: {users: 2}")

    assert len(found.failed) == 21
    assert found.failed[-1].found == "12 more"


def test_a_context_that_the_api_refuses_is_a_mistake_of_the_file(bucket, summary, tmp_path):
    """Exit 2, with its line."""
    text = "features:\n  huddle:\n    on:\n      contexts:\n        - {user: {a: {b: {c: 1}}}}\n"
    with pytest.raises(UsageError, match=r"t\.yml:5: the context is refused: contextJson\.user\.a\.b"):
        checked(tmp_path, bucket, summary, text)


def test_malformed_features_are_refused(bucket):
    """The message is the emulator's."""
    with pytest.raises(UsageError, match="malformed features"):
        bucket.define([{"key": "x"}])
    with pytest.raises(UsageError):
        bucket.define("text")


def test_a_fault_that_was_ordered_does_not_hit_the_assertions(bucket, emulator, summary, tmp_path):
    """What goes wrong is for the load."""
    emulator.faults({"kind": "status", "status": 500}, {"kind": "html", "status": 502, "on": "/features/evaluated"})
    assert checked(tmp_path, bucket, summary, HOLDS).failed == ()


def test_values_may_be_anything(bucket, emulator, summary, tmp_path):
    """Odd names and texts stand in a difference as they are, on one line each, and long ones are cut."""
    emulator.load([{"type": "user", "userId": "x", "attributes": {"a\nb": "c\nd", "long": "y" * 5_000}}], KEY)
    found = checked(tmp_path, bucket, summary, 'counts: {rejected: 2}\nusers: {x: {attributes: {"a\\nb": 1, long: 1}}}')

    assert [json.loads(one.found.partition(" (")[0]) for one in found.failed[:1]] == ["c\nd"]
    assert len(found.failed[1].text) < 500
