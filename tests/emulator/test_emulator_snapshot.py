"""Saving an environment as one document, and restoring it: there, elsewhere, or in another process."""

import asyncio
import json
import sqlite3

import pytest
import requests
from emulator_api import PUBLISHABLE, SECRET, Api

from bucket_loader.emulator.environment import Environment
from bucket_loader.emulator.http import snapshots
from bucket_loader.emulator.http.server import running
from bucket_loader.emulator.snapshot import Snapshot
from bucket_loader.emulator.store import wire
from bucket_loader.emulator.store.keys import Keys

PRO = {"type": "context", "field": "company.plan", "operator": "IS", "values": ["pro"]}
FEATURE = {"key": "f", "stage": "beta", "optInEnabled": True, "targeting": {"version": 1, "rules": [{"filter": PRO}]}}
FAULT = {"kind": "poison", "match": "poisoned", "times": 3}
# What an environment shows of what it holds.
SHOWN = ("state", "journal", "requests", "requests?refused=true", "users/u", "companies/c", "overrides", "faults",
         "timeline?kind=user&id=u", "holders?feature=f&kind=company",
         "holders?feature=f&kind=user")  # fmt: skip


def fill(api):
    """Let an environment hold something of everything."""
    api.put("/_emulator/features", {"features": [FEATURE]})
    api.put("/_emulator/features/new", {"isEnabled": True, "config": {"key": "large"}})
    api.fault(FAULT)
    api.post("/company", {"companyId": "c", "userId": "u", "attributes": {"plan": "pro"}})
    items = [b'{"type": "event", "userId": "u", "event": "e", "attributes": {"n": 1.50, "t": "\\u00fc"}}',
             b'{"type": "user", "userId": "u", "attributes": {"a": null, "l": [1, {"x": 2}]}}']  # fmt: skip
    api.post_bytes("/bulk", b"[%s,\n %s]" % tuple(items))
    deep = b'{"userId": "u", "attributes": {"deep": %s%s}}' % (b"[" * 248, b"]" * 248)
    assert api.post_bytes("/user", deep).status_code == 200  # as deep as a body may be
    api.post("/feedback", {"userId": "u", "score": 5, "feedbackId": "fb"})
    api.post("/features/events", [{"action": "check", "key": "f", "evalResult": True}])
    opted = {"key": "f", "optedIn": True, "scope": "user", "context": {"user": {"id": "u"}}}
    assert api.post("/flags/opt-in", opted).status_code == 200
    api.post("/event", {"userId": ""})
    api.post("/user", {"userId": "poisoned"})


def shown(api, where="/_emulator"):
    """Return all that an environment shows, without what goes on by itself."""
    answers = {path: api.get(f"{where}/{path}").text for path in SHOWN}
    overrides, faults = json.loads(answers["overrides"]), json.loads(answers["faults"])
    features = json.loads(api.get(f"{where}/features").text)["features"]
    return {**answers, "overrides": overrides["overrides"], "features": features,
            "faults": [fault | {"struck": None} for fault in faults["faults"]]}  # fmt: skip


def save(api, where="/_emulator"):
    """Return a snapshot, as the bytes that it is: numbers keep their digits."""
    answer = api.get(f"{where}/snapshot")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    return answer.content


def without_version(snapshot):
    """Return a snapshot without the version of the definitions, which each change raises."""
    document = json.loads(snapshot)
    assert document["features"].pop("flagStateVersion") > 0
    return document


def restore(api, snapshot, where="/_emulator"):
    """Restore a snapshot; it is accepted."""
    answer = api.session.put(f"{api.url}{where}/snapshot", data=snapshot, timeout=10)
    assert answer.status_code == 200, answer.text


def test_what_is_saved_is_restored(api: Api):
    """In the same environment after a reset, and in another: all that is shown is the same, and goes on."""
    fill(api)
    before, saved = shown(api), save(api)

    api.reset()
    api.post("/user", {"userId": "later"})
    restore(api, saved)

    assert shown(api) == before
    assert without_version(save(api)) == without_version(saved)
    api.post("/_emulator/environments", {"name": "copy"})
    where = "/_emulator/environments/copy"
    restore(api, saved, where)
    assert shown(api, where) == before
    api.post("/user", {"userId": "next"})
    assert api.journal()[-1]["request"] == json.loads(before["state"])["requests"] + 1
    assert api.post("/user", {"userId": "poisoned"}).status_code == 500
    for context in ("company.id=c", "user.id=u"):  # by a rule, and by having opted in
        assert list(api.get(f"/features/enabled?context.{context}").json()["features"]) == ["f", "new"]
    api.session.delete(api.url + where, timeout=10)


def test_definitions_only_rise(api: Api):
    """Restoring is a change: whoever has seen later definitions takes those of the snapshot over all the same."""
    fill(api)
    saved = save(api)
    for _ in range(3):
        api.put("/_emulator/features", {"features": []})
    version = api.get("/features").json()["flagStateVersion"]

    restore(api, saved)

    assert api.get("/features").json()["flagStateVersion"] > version


def test_what_is_left_out_is_empty(api: Api):
    """The least snapshot is a version, and restores an empty environment: not the features of the command line."""
    fill(api)

    restore(api, b'{"version": 1}')

    assert set(api.state().values()) == {0}
    assert api.get("/features").json()["features"] == []
    assert api.get("/_emulator/faults").json()["faults"] == []


NOTED = {"request": 1, "at_ms": 0, "method": "GET", "path": "/", "status": 200, "error": None, "fault": None}
CALL = {"request": 1, "at": "2026-11-30T08:00:00Z", "type": "user", "body": {"userId": "u"}}


@pytest.mark.parametrize(
    ("document", "named"),
    [([], "must be an object"), ({}, "version"), ({"version": 2}, "version"), ({"version": 1, "other": 1}, "other"),
     ({"version": 1, "features": {}}, "features"), ({"version": 1, "features": {"features": [{}]}}, "features"),
     ({"version": 1, "overrides": {"f": {}}}, "targeting"),
     ({"version": 1, "faults": {"faults": [{"kind": "x"}]}}, "kind"),
     ({"version": 1, "calls": [CALL, {**CALL, "type": "users"}]}, "calls[1].type"),
     ({"version": 1, "calls": [CALL, {**CALL, "at": "today"}]}, "calls[1].at"),
     ({"version": 1, "calls": [CALL, {**CALL, "request": 0}]}, "request"),
     ({"version": 1, "calls": [CALL, {**CALL, "body": {"userId": ""}}]}, "calls[1].body: userId"),
     ({"version": 1, "calls": [CALL, {**CALL, "type": "bulk"}]}, "calls[1].body"),
     ({"version": 1, "log": {"latest": [{}]}}, "log"),
     ({"version": 1, "log": {"requests": 10**30}}, "log.requests"),
     ({"version": 1, "log": {"refused": -1}}, "log.refused"),
     ({"version": 1, "log": {"latest": [{**NOTED, "at_ms": 1e300}]}}, "at_ms")],
)  # fmt: skip
def test_a_malformed_snapshot_changes_nothing(api: Api, document, named):
    """It is a 400 that names the place, and all stays as it was."""
    fill(api)
    before = shown(api)

    answer = api.put("/_emulator/snapshot", document)

    assert answer.status_code == 400
    assert answer.json()["error"]["message"].startswith("Malformed snapshot: write ")
    assert named in answer.json()["error"]["validationErrors"][0]["message"]
    assert shown(api) == before


def test_a_snapshot_may_be_larger_than_a_body_of_the_api(api: Api):
    """What came in many calls goes back in one."""
    text = "x" * 3_000_000
    for number in range(4):
        assert api.post("/user", {"userId": str(number), "attributes": {"t": text}}).status_code == 200
    saved = api.get("/_emulator/snapshot").content
    assert len(saved) > 12_000_000

    answer = requests.put(f"{api.url}/_emulator/snapshot", data=saved, timeout=60)

    assert answer.status_code == 200, answer.text
    assert len(api.user("3")["attributes"]["t"]) == 3_000_000


def test_what_was_restored_survives_a_kill(tmp_path):
    """With `--data` it is there again, and nothing of what was there before."""
    with running(data_dir=tmp_path, secret_key=SECRET, publishable_key=PUBLISHABLE) as endpoint:
        api = Api(endpoint)
        with api.session:
            fill(api)
            saved = save(api)
            api.reset()
            api.post("/user", {"userId": "lost"})
            restore(api, saved)
            before = {**shown(api), "faults": []}
            endpoint.process.kill()

    with running(data_dir=tmp_path, secret_key=SECRET, publishable_key=PUBLISHABLE) as endpoint:
        api = Api(endpoint)
        with api.session:
            assert shown(api) == before


def test_a_restore_that_breaks_off_leaves_all_as_it_was(monkeypatch, tmp_path):
    """Killed in the middle, an environment with `--data` still holds what it held."""
    environment = Environment("main", Keys("s", "p"), data_dir=tmp_path)
    body = b'{"userId":"before"}'
    environment.accept(1, "user", body, wire.TYPES["user"](body))
    snapshot = Snapshot.read(json.dumps({"version": 1, "calls": [CALL, {**CALL, "request": 2}]}).encode())
    append = environment.journal.append

    def broken(entry):
        append(entry)
        if entry.request == 2:
            raise sqlite3.OperationalError("the disk is full")

    monkeypatch.setattr(environment.journal, "append", broken)
    with pytest.raises(sqlite3.OperationalError):
        environment.restore(snapshot)
    environment.close()

    again = Environment("main", Keys("s", "p"), data_dir=tmp_path)
    assert list(again.store.users) == ["before"]
    again.close()


def test_what_comes_while_it_is_saved_is_not_in_it(monkeypatch):
    """A long one is sent in pieces; it is whole JSON whatever comes between them."""
    monkeypatch.setattr(snapshots, "_PIECE_BYTES", 1)
    environment = Environment("main", Keys("s", "p"))

    def accept(request):
        body = b'{"userId":"u"}'
        environment.accept(request, "user", body, wire.TYPES["user"](body))

    async def saved(meanwhile):
        pieces = []
        async for piece in snapshots.pieces(environment):
            if not pieces:
                meanwhile()
            pieces.append(piece)
        return [call["request"] for call in json.loads(b"".join(pieces))["calls"]]

    accept(1)
    accept(2)
    assert asyncio.run(saved(lambda: accept(3))) == [1, 2]
    environment.close()


@pytest.mark.parametrize("is_durable", [True, False])
def test_what_is_taken_away_while_it_is_saved_breaks_the_document_off(monkeypatch, tmp_path, is_durable):
    """Nobody takes the part for the whole: a reset, and what comes after it, leave no JSON behind."""
    monkeypatch.setattr(snapshots, "_PIECE_BYTES", 1)
    environment = Environment("main", Keys("s", "p"), data_dir=tmp_path if is_durable else None)

    def accept(number):
        body = b'{"userId":"u%d"}' % number
        environment.accept(number, "user", body, wire.TYPES["user"](body))

    async def saved():
        pieces = snapshots.pieces(environment)
        first = await anext(pieces)
        environment.reset()
        for number in range(1, 5):
            accept(number)
        return first + b"".join([piece async for piece in pieces])

    accept(1)
    accept(2)
    document = asyncio.run(saved())
    environment.close()

    assert document.count(b'"userId"') == 1
    with pytest.raises(ValueError, match="Expecting"):
        json.loads(document)
