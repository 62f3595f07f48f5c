"""`--data DIR`: what was acknowledged is there after any end, and so is what the page shows."""

import contextlib
import sqlite3
import threading

import pytest
import requests
from emulator_api import PUBLISHABLE, SECRET, Api

from bucket_loader.emulator.environment import Environment
from bucket_loader.emulator.http import server
from bucket_loader.emulator.http.server import running
from bucket_loader.emulator.store import wire
from bucket_loader.emulator.store.durable import DurableJournal
from bucket_loader.emulator.store.keys import Keys
from bucket_loader.model.errors import StateError

ITEMS = 20


@contextlib.contextmanager
def opened(data_dir):
    """Run an emulator on a directory and return a client for it."""
    with running(data_dir=data_dir, secret_key=SECRET, publishable_key=PUBLISHABLE) as endpoint:
        api = Api(endpoint)
        with api.session:
            yield api


def send(url, client, acknowledged, enough):
    """Send one call after another until the emulator is gone, and note each that was acknowledged."""
    with requests.Session() as session, contextlib.suppress(requests.RequestException):
        session.trust_env = False
        session.headers["Authorization"] = f"Bearer {SECRET}"
        for call in range(10_000):
            name = f"{client}-{call}"
            items = [{"type": "event", "userId": name, "event": str(item)} for item in range(ITEMS)]
            assert session.post(f"{url}/bulk", json=items, timeout=5).json() == {"success": True}
            acknowledged.append(name)
            if len(acknowledged) >= 40:
                enough.set()


@pytest.mark.timeout(120)
def test_a_kill_loses_nothing_that_was_acknowledged(tmp_path):
    """Killed while four clients send, several times over: every acknowledged call is there, none in part or twice."""
    acknowledged = []
    for kill in range(3):
        with opened(tmp_path) as api:
            enough = threading.Event()
            mine = []
            clients = [
                threading.Thread(target=send, args=(api.url, f"{kill}-{client}", mine, enough)) for client in range(4)
            ]
            for client in clients:
                client.start()
            assert enough.wait(30)

            api.endpoint.process.kill()

            for client in clients:
                client.join()
            acknowledged += mine

    with opened(tmp_path) as api:
        journal, state = api.journal(), api.state()
        counts = {}
        for line in journal:
            counts[line["item"]["userId"]] = counts.get(line["item"]["userId"], 0) + 1
        numbers = {line["request"] for line in journal}

        assert set(acknowledged) <= set(counts)
        assert set(counts.values()) == {ITEMS}
        assert len(numbers) == len(counts), "a number was given twice"
        assert state["events"] == len(journal)
        assert state["users"] == len(counts)
        assert state["requests"] >= max(numbers)
        assert api.user(acknowledged[-1])["events"] == ITEMS


def test_what_the_page_shows_survives_a_kill(tmp_path):
    """Verdicts, refusals with their mistakes, timelines, searches and who has a feature are as they were."""
    paths = ("requests", "requests?refused=true", "timeline?kind=user&id=u", "search?text=ada", "users/u", "features",
             "holders?feature=f&kind=user", "state")  # fmt: skip
    rule = {"filter": {"type": "context", "field": "user.name", "operator": "IS", "values": ["Ada"]}}
    with opened(tmp_path) as api:
        api.put("/_emulator/features", {"features": [{"key": "f", "targeting": {"version": 1, "rules": [rule]}}]})
        api.post("/user", {"userId": "u", "attributes": {"name": "Ada"}})
        api.post("/bulk", [{"type": "event", "userId": "u", "event": "e"}, {"type": "user", "userId": "v"}])
        api.post("/event", {"userId": "u", "event": ""})
        api.fault({"kind": "cut_before", "times": 1})
        with pytest.raises(requests.ConnectionError):
            api.post("/user", {"userId": "cut"})
        before = [api.get(f"/_emulator/{path}").json() for path in paths]
        api.endpoint.process.kill()

    with opened(tmp_path) as api:
        assert [api.get(f"/_emulator/{path}").json() for path in paths] == before
        assert before[1]["requests"][0]["wrong"][0]["message"].startswith("event: ")
        api.post("/user", {"userId": "next"})
        assert [call["request"] for call in api.get("/_emulator/requests").json()["requests"]] == [5, 4, 3, 2, 1]


def test_the_log_stays_bounded_and_in_order(tmp_path):
    """Of more calls than are kept the latest survive, newest first, and the file does not grow with them."""
    with opened(tmp_path) as api:
        for number in range(1010):
            api.post("/user", {"userId": "u" if number % 2 else ""})
        before = api.get("/_emulator/requests?limit=2000").json()

    with opened(tmp_path) as api:
        after = api.get("/_emulator/requests?limit=2000").json()

    assert after == before
    assert [call["request"] for call in after["requests"]] == list(range(1010, 10, -1))
    with contextlib.closing(sqlite3.connect(tmp_path / "emulator.db")) as connection:
        assert (
            connection.execute("select count(*) from kept").fetchone()[0] == 1000 + 505 + 3
        )  # the counts, the version, the identity


def test_faults_do_not_survive(tmp_path):
    """An order of faults ends with the process: the next start answers honestly."""
    with opened(tmp_path) as api:
        api.fault({"kind": "html"})

    with opened(tmp_path) as api:
        assert api.get("/_emulator/faults").json()["faults"] == []
        assert api.post("/user", {"userId": "u"}).json() == {"success": True}


def test_a_call_that_was_kept_and_never_answered_is_counted(tmp_path):
    """Killed between keeping a call and noting it, its number is not given again."""
    with opened(tmp_path) as api:
        api.post("/user", {"userId": "a"})
    with contextlib.closing(sqlite3.connect(tmp_path / "emulator.db")) as connection, connection:
        connection.execute(
            "insert into accepted (request, at_ms, type, body) values (2, 0, 'user', ?)", (b'{"userId":"b"}',)
        )

    with opened(tmp_path) as api:
        assert api.state()["requests"] == 2
        api.post("/user", {"userId": "c"})
        assert [line["request"] for line in api.journal()] == [1, 2, 3]


def test_a_reset_survives_a_kill(tmp_path):
    """What was forgotten stays forgotten, the log as well."""
    with opened(tmp_path) as api:
        api.post("/user", {"userId": ""})
        api.post("/user", {"userId": "u"})
        api.reset()
        api.endpoint.process.kill()

    with opened(tmp_path) as api:
        assert set(api.state().values()) == {0}
        assert api.get("/_emulator/requests").json() == {"requests": []}
        assert api.get("/_emulator/requests?refused=true").json() == {"requests": []}


@pytest.mark.parametrize("name", ["file", "file/inside"])
def test_a_directory_that_cannot_be_had_is_a_state_error(tmp_path, name):
    """A path that is a file is refused with a hint, before anything listens."""
    (tmp_path / "file").write_text("")

    with pytest.raises(StateError, match="cannot be opened") as caught:
        server.serve(data_dir=tmp_path / name)

    assert caught.value.hint


@pytest.mark.parametrize("change", [Environment.reset, lambda environment: environment.define({"features": []})])
def test_a_change_that_breaks_off_leaves_all_as_it_was(monkeypatch, tmp_path, change):
    """Killed in the middle of a reset or of new definitions, nothing of the change is there, and all of before."""
    environment = Environment("main", Keys("s", "p"), data_dir=tmp_path)
    body = b'{"userId":"before"}'
    environment.accept(1, "user", body, wire.TYPES["user"](body))
    environment.override("huddle", b'{"isEnabled": true}')
    keep, names = environment.journal.keep, ("features", "overrides", "version")
    before = [environment.journal.kept(name) for name in names]

    def broken(name, value):
        if name in {"overrides", "version"}:
            raise sqlite3.OperationalError("the disk is full")
        keep(name, value)

    monkeypatch.setattr(environment.journal, "keep", broken)
    with pytest.raises(sqlite3.OperationalError):
        change(environment)
    environment.close()

    again = DurableJournal(tmp_path)
    assert [entry.body for entry in again.entries()] == [body]
    assert [again.kept(name) for name in names] == before
    again.close()
