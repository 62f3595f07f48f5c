"""What the page asks: tables and their CSV, calls word by word, what is rejected, and where an attribute is from."""

import asyncio
import csv
import io

import pytest
from emulator_api import PUBLISHABLE, SECRET, Api

from bucket_loader.emulator.environment import Environment
from bucket_loader.emulator.inspector import pace, tables
from bucket_loader.emulator.store import wire
from bucket_loader.emulator.store.exchanges import BODY_BYTES_KEPT, Exchange, Exchanges
from bucket_loader.emulator.store.keys import Keys
from bucket_loader.runs.rejected import RejectedRows
from bucket_loader.state import DeadLetters, Entry

LETTER = {"at": "2026-01-01T00:00:00Z", "run": "r", "stream": "users", "source": "users.csv", "place": "row 17",
          "reasons": [{"message": "is not a number", "field": "attributes.seats"}],
          "row": '{"id":"7","seats":"many"}'}  # fmt: skip


def table(api: Api, name, text="", limit=500):
    """Follow a table to its end, and return its rows."""
    found, after = [], "0.0"
    for _ in range(500):
        answer = api.session.get(
            f"{api.url}/_emulator/tables/{name}", params={"text": text, "after": after, "limit": limit}, timeout=10
        ).json()
        found += answer["rows"]
        after = answer["next"]
        assert len(answer["rows"]) <= limit
        assert set(answer["columns"]) == {column for row in answer["rows"] for column in row}
        if answer["isComplete"]:
            return found
    raise AssertionError("it never came to its end")


def load(api: Api):
    """Send a bit of everything."""
    api.post("/bulk", [
        {"type": "company", "companyId": "c1", "userId": "u1", "attributes": {"plan": "Pro", "seats": 1.50}},
        {"type": "user", "userId": "u2", "attributes": {"a": {"b": [1, None]}, "city": "Århus", "none": None}},
        {"type": "event", "userId": "u1", "event": "opened", "attributes": {"rows": 3}},
        {"type": "feedback", "userId": "u1", "key": "f", "score": 4, "comment": "Event of the year"},
    ])  # fmt: skip
    api.post("/event", {"userId": "u2", "event": "closed"})


def test_users_and_companies_are_rows_with_attributes_as_columns(api: Api):
    """Each as it is now; numbers as they were written, what is nested as JSON, null as null."""
    load(api)

    first, second = table(api, "users")
    (company,) = table(api, "companies")

    assert (first["userId"], first["companies"], first["events"]) == ("u1", "c1", "1")
    assert (second["attributes.a"], second["attributes.none"]) == ('{"b":["1",""]}', None)
    assert (company["companyId"], company["attributes.plan"], company["attributes.seats"]) == ("c1", "Pro", "1.5")
    assert company["users"] == "1"


def test_events_and_feedback_are_rows_as_they_were_sent(api: Api):
    """Also those that came among others in one call."""
    load(api)

    assert [(row["userId"], row["event"], row.get("attributes.rows")) for row in table(api, "events")] == [
        ("u1", "opened", "3"), ("u2", "closed", None),
    ]  # fmt: skip
    (feedback,) = table(api, "feedback")
    assert (feedback["score"], feedback["comment"]) == ("4", "Event of the year")
    assert "type" not in feedback


@pytest.mark.parametrize(
    ("body", "cells"),
    [
        (b'{"userId":"u","event":"e","junk":"\\ud800"}', {"event": "e", "junk": "\ufffd"}),
        (b'{"userId":"u","event":"e","attributes":{"n":12345678901234567890123,"f":1.50,"l":[1.50, null]}}',
         {"attributes.n": "12345678901234567890123", "attributes.f": "1.50", "attributes.l": "[1.50, null]"}),
        (b'{"userId": 7 ,"event":"\\u00e9","attributes":null,"companyId":null}', {"userId": "7", "event": "\u00e9"}),
    ],
)  # fmt: skip
def test_whatever_was_accepted_can_be_shown(api: Api, body, cells):
    """Values stay as they were written, however large they are, and what is no text is shown as far as it is one."""
    assert api.post_bytes("/event", body).status_code == 200

    (row,) = table(api, "events")

    assert cells.items() <= row.items()
    assert api.get("/_emulator/tables/events/csv").status_code == 200
    assert api.get("/_emulator/origins?kind=user&id=u").status_code == 200


@pytest.mark.parametrize(
    ("name", "text", "ids"),
    [
        ("users", "U2", ["u2"]), ("users", "C1", ["u1"]), ("users", "20", ["u1", "u2"]), ("users", "århus", ["u2"]),
        ("users", "nobody", []), ("companies", "pro", ["c1"]), ("companies", "plan", []), ("events", "open", ["u1"]),
        ("events", "event", []), ("feedback", "year", ["u1"]),
    ],
)  # fmt: skip
def test_a_filter_leaves_the_rows_that_hold_a_text(api: Api, name, text, ids):
    """In a cell, whatever the case; names of columns do not count."""
    load(api)

    assert [row.get("companyId" if name == "companies" else "userId") for row in table(api, name, text)] == ids


@pytest.mark.parametrize("name", ["users", "events"])
@pytest.mark.parametrize("limit", [1, 3, 7])
def test_a_table_can_be_taken_up_anywhere(api: Api, name, limit):
    """Whatever the limit, the pages are the whole: nothing twice, nothing missing, also within one call."""
    for call in range(4):
        items = [{"type": "event", "userId": f"u{call}-{item}", "event": "e"} for item in range(5)]
        api.post("/bulk", [*items, {"type": "company", "companyId": "c"}])

    assert table(api, name, limit=limit) == table(api, name)
    assert len(table(api, name)) == 20


def test_a_table_ends_in_time(monkeypatch):
    """When its time is over a look gives what it has, also where a filter leaves all rows out."""
    monkeypatch.setattr(pace, "LOOK_S_MAX", 0)
    environment = Environment("main", Keys("s", "p"))
    for number in range(600):
        body = b'{"userId":"u%d"}' % number
        environment.accept(number, "user", body, wire.TYPES["user"](body))

    found = asyncio.run(tables.rows(environment, "users", "u599", tables.Place(), 50))
    environment.close()

    assert (found.is_complete, found.rows, found.seen, found.total) == (False, [], 256, 600)


@pytest.mark.parametrize("text", ["", "u1"])
def test_a_whole_table_is_a_csv(api: Api, text):
    """All columns of all rows, with what is hard for CSV in them; the filter holds for it too."""
    load(api)
    api.post("/user", {"userId": 'q"uote,\n', "attributes": {"late": "=1+1"}})

    answer = api.session.get(f"{api.url}/_emulator/tables/users/csv", params={"text": text}, timeout=10)

    assert answer.headers["content-type"].startswith("text/csv")
    assert "users.csv" in answer.headers["content-disposition"]
    rows = list(csv.DictReader(io.StringIO(answer.content.decode())))
    expected = table(api, "users", text)
    assert [row["userId"] for row in rows] == [row["userId"] for row in expected]
    if not text:
        assert (rows[-1]["userId"], rows[-1]["attributes.late"]) == ('q"uote,\n', "=1+1")


def test_the_rejected_are_bucket_s_and_the_loader_s(api: Api):
    """A row for each mistake of a refused call, and one for each row that the loader says it rejected."""
    api.post("/bulk", [{"type": "user", "userId": ""}, {"type": "event", "userId": "u", "event": ""}])
    assert api.put("/_emulator/rejected", {"rejected": [LETTER], "total": 1}).status_code == 200

    *refused, letter = table(api, "rejected")

    assert [(row["by"], row["where"], row["field"]) for row in refused] == [
        ("Bucket", "request 1", "[0].userId"), ("Bucket", "request 1", "[1].event"),
    ]  # fmt: skip
    assert (letter["by"], letter["where"]) == ("the loader", "users: users.csv, row 17")
    assert (letter["field"], letter["reason"]) == ("attributes.seats", "is not a number")
    assert letter["what"] == '{"id":"7","seats":"many"}'
    api.put("/_emulator/rejected", {"rejected": [LETTER], "total": 501})
    assert api.get("/_emulator/tables/rejected").json()["leftOut"] == 500
    assert api.get("/_emulator/rejected?limit=0").json() == {"rejected": [], "total": 501}
    assert api.get("/_emulator/rejected").json()["rejected"] == [LETTER]
    assert len(table(api, "rejected", "many")) == 1


def test_rejected_rows_in_another_form_are_refused(api: Api):
    """What was known stays."""
    api.put("/_emulator/rejected", {"rejected": [LETTER]})

    assert api.put("/_emulator/rejected", {"rejected": [{"at": 1}]}).status_code == 400
    assert len(table(api, "rejected")) == 1


def entry(number, stage="map"):
    """Return a dead letter."""
    return Entry(f"r/users/{number}", "r", "users", stage, {"source": "users.csv", "row": number},
                 [{"code": "x", "message": "is no id", "field": "userId"}], {"id": "x" * 3000}, None, None,
                 f"2026-01-01T00:00:{number:02d}Z")  # fmt: skip


def test_the_loader_hands_in_the_latest_of_its_dead_letters(tmp_path):
    """Of every state in a folder, but for what Bucket refused; looked at again when there are more."""
    read = RejectedRows(tmp_path / "state")
    assert read() == {"rejected": [], "total": 0}
    letters = DeadLetters(tmp_path / "state" / "p@production@host" / "dead_letters" / "r.jsonl")

    letters.append([entry(1), entry(2, stage="deliver")])
    first = read()
    letters.append([entry(3)])

    assert [(one["place"], one["row"][:9], one["row"][-1]) for one in first["rejected"]] == [
        ("row 1", '{"id":"xx', "…")
    ]
    assert [one["place"] for one in read()["rejected"]] == ["row 3", "row 1"]
    assert read()["total"] == 2


# --- calls word by word --------------------------------------------------------------------------------------------


def test_a_call_is_told_word_by_word_without_its_key(api: Api):
    """Headers, query, body and answer; the key is masked wherever it stands."""
    api.session.post(f"{api.url}/user?x=1&publishableKey={PUBLISHABLE}", timeout=5,
                     json={"userId": "", "attributes": {"k": SECRET}}, headers={"X-Trace": f"by {SECRET}"})  # fmt: skip

    found = api.get("/_emulator/requests/1").json()

    sent = {header["name"]: header["value"] for header in found["sent"]["headers"]}
    assert sent["authorization"] == f"Bearer {SECRET[:4]}…"
    assert sent["x-trace"] == f"by {SECRET[:4]}…"
    assert found["query"] == "x=1&publishableKey=…"
    assert '"userId": ""' in found["sent"]["body"]
    assert "BODY_VALIDATION_FAILED" in found["answered"]["body"]
    assert (found["call"]["status"], found["sent"]["isCut"]) == (400, False)
    assert SECRET not in str(found["sent"]) + found["query"]


def test_a_long_body_is_cut_and_a_cut_connection_has_no_answer(api: Api):
    """How long it was is told all the same."""
    api.post("/user", {"userId": "u", "attributes": {"long": "x" * 200_000}})
    api.fault({"kind": "cut_before"})
    with pytest.raises(OSError):  # noqa: PT011  # whatever the client says
        api.post("/user", {"userId": "u"})

    long, cut = (api.get(f"/_emulator/requests/{number}").json() for number in (1, 2))

    assert (len(long["sent"]["body"]), long["sent"]["isCut"]) == (BODY_BYTES_KEPT, True)
    assert long["sent"]["length"] > 200_000
    assert (cut["answered"], cut["call"]["status"]) == (None, None)
    assert api.get("/_emulator/requests/3").status_code == 404
    assert api.get("/_emulator/requests/x").status_code == 404


def test_the_calls_that_are_kept_are_bounded():
    """A thousand, and so many bytes; a refused one stays while good ones come."""
    calls = Exchanges()

    def exchange(size):
        return Exchange(b"", (), b"x" * size, size, (), b"", 0)

    calls.add(1, exchange(10), refused=True)
    for number in range(2, 1500):
        calls.add(number, exchange(10), refused=False)
    assert (calls.get(2), calls.get(1) is not None, calls.get(1499) is not None) == (None, True, True)
    for number in range(2000, 2300):
        calls.add(number, exchange(65_536), refused=False)
    assert calls.get(2100) is None
    assert calls.get(2299) is not None


# --- where an attribute is from ------------------------------------------------------------------------------------


def test_each_attribute_is_from_the_record_that_set_it_last(api: Api):
    """Not from records of another kind that name the same user, nor from those that were refused."""
    api.post("/user", {"userId": "u", "attributes": {"plan": "free", "role": "admin"}})
    api.post("/bulk", [{"type": "user", "userId": "x", "attributes": {"plan": "x"}},
                       {"type": "user", "userId": "u", "attributes": {"plan": "pro"}}])  # fmt: skip
    api.post("/company", {"companyId": "c", "userId": "u", "attributes": {"role": "none"}})
    api.post("/user", {"userId": "u", "attributes": {"plan": "late"}, "timestamp": "refused"})

    found = api.get("/_emulator/origins?kind=user&id=u").json()

    assert {name: one["request"] for name, one in found["attributes"].items()} == {"plan": 2, "role": 1}
    assert found["isComplete"]
    again = api.get(f"/_emulator/origins?kind=user&id=u&after={found['next']}").json()
    assert again["attributes"] == {}
