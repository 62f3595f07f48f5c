"""Reading the journal: from a request on, of one type, and as soon as there is something."""

import asyncio
import json
import socket
import threading
import time

import pytest
import requests
from emulator_api import Api

from bucket_loader.emulator.environment import Environment
from bucket_loader.emulator.http.server import running
from bucket_loader.emulator.inspector import lines
from bucket_loader.emulator.store import wire
from bucket_loader.emulator.store.keys import Keys


def journal(api, query=""):
    """Return the request and the user of each line."""
    answer = api.get(f"/_emulator/journal{query}")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/x-ndjson"
    return [(line["request"], line["item"]["userId"]) for line in map(json.loads, answer.content.splitlines())]


def event(user):
    """Return an event as /bulk takes it."""
    return {"type": "event", "userId": user, "event": "e"}


def test_from_a_request_on_and_of_one_type(api: Api):
    """Both can be asked, alone or together; in /bulk the item decides, elsewhere the path."""
    api.post("/bulk", [event("a"), {"type": "user", "userId": "b"}])
    api.post("/user", {"userId": "c"})
    api.post("/event", {"userId": "d", "event": "e"})

    assert journal(api) == [(1, "a"), (1, "b"), (2, "c"), (3, "d")]
    assert journal(api, "?after=1") == [(2, "c"), (3, "d")]
    assert journal(api, "?type=event") == [(1, "a"), (3, "d")]
    assert journal(api, "?type=user&after=1") == [(2, "c")]
    assert journal(api, "?type=feedback") == journal(api, "?after=3") == []


def test_what_is_there_is_not_waited_for(api: Api):
    """The answer comes at once, and has all of it."""
    for user in "ab":
        api.post("/event", {"userId": user, "event": "e"})

    assert journal(api, "?type=event&wait=60s") == [(1, "a"), (2, "b")]


@pytest.mark.parametrize("wait", ["60ms", "0.06s"])
def test_what_does_not_come_is_not_waited_for_long(api: Api, wait):
    """The answer is empty then; other types, and requests before, do not end the wait."""
    api.post("/event", {"userId": "u", "event": "e"})
    begun_s = time.monotonic()

    assert journal(api, f"?after=1&wait={wait}") == journal(api, f"?type=user&wait={wait}") == []

    assert 0.12 <= time.monotonic() - begun_s < 2


def test_what_comes_ends_the_wait(api: Api):
    """As soon as there is such an item the answer ends; what is none goes by."""
    found = []
    waiting = threading.Thread(target=lambda: found.extend(journal(Api(api.endpoint), "?type=event&after=1&wait=50s")))
    api.post("/event", {"userId": "before", "event": "e"})
    waiting.start()
    begun_s = time.monotonic()
    while waiting.is_alive() and time.monotonic() - begun_s < 10:
        api.post("/user", {"userId": "u"})
        api.post("/bulk", [event("now")])
        waiting.join(0.02)

    assert [user for _, user in found][:1] == ["now"]


@pytest.mark.parametrize("path", ["/_emulator/reset", "/_emulator/environments/waited"])
def test_a_reset_ends_the_wait(api: Api, path):
    """Requests are numbered from 1 again: what is waited for would never come. So it is when the environment goes."""
    api.post("/_emulator/environments", {"name": "waited"})
    where = path.removesuffix("/reset")
    end = api.session.delete if where != "/_emulator" else api.session.post
    answers = []
    ask = threading.Thread(
        target=lambda: answers.append(requests.get(f"{api.url}{where}/journal?wait=50s", timeout=60))
    )
    ask.start()
    begun_s = time.monotonic()
    while ask.is_alive() and time.monotonic() - begun_s < 10:
        end(api.url + path, timeout=10)
        ask.join(0.05)

    assert answers[0].content == b"" if answers[0].status_code == 200 else answers[0].status_code == 404


@pytest.mark.parametrize(
    "query", ["after=-1", "after=x", "type=users", "type=bulk", "type=", "wait=2", "wait=61s", "wait=-1s", "wait=1h",
              "wait=", "wait=60001ms", "wait=nans", "wait=٣s"],
)  # fmt: skip
def test_what_cannot_be_asked_is_refused(api: Api, query):
    """With what was expected."""
    answer = api.get(f"/_emulator/journal?{query}")

    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "QUERY_VALIDATION_FAILED"
    assert answer.json()["error"]["message"].startswith(f"{query.partition('=')[0]}: must be")


@pytest.mark.parametrize("is_durable", [False, True])
def test_what_comes_while_it_reads_is_not_missed(monkeypatch, tmp_path, is_durable):
    """Between two pieces others have their turn: what they bring after the end of the look ends the wait too."""
    monkeypatch.setattr(lines, "_PIECE_BYTES", 1)

    async def read():
        environment = Environment("main", Keys("s", "p"), data_dir=tmp_path if is_durable else None)

        def accept(request, kind, body):
            environment.accept(request, kind, body, wire.TYPES[kind](body))

        async def send():
            accept(2, "event", b'{"userId":"late","event":"e"}')

        accept(1, "user", b'{"userId":"u"}')
        task = asyncio.ensure_future(send())  # it runs when the first piece has been read
        found = [piece async for piece in lines.pieces(environment, lines.Wanted(0, "event"), 5)]
        await task
        reading = environment.journal.after(0)
        next(reading)
        environment.forget()
        assert list(reading) == []
        environment.close()
        return found

    found = asyncio.run(read())

    assert b"".join(found) == b'{"request":2,"type":"event","item":{"userId":"late","event":"e"}}\n'


@pytest.mark.parametrize("is_durable", [False, True])
def test_an_environment_that_goes_while_it_is_read_ends_the_reading(monkeypatch, tmp_path, is_durable):
    """Its file is closed then: nothing is asked of that any more, and nothing is waited for."""
    monkeypatch.setattr(lines, "_PIECE_BYTES", 1)

    async def read():
        environment = Environment("main", Keys("s", "p"), data_dir=tmp_path if is_durable else None)
        for request in (1, 2):
            body = b'{"userId":"u"}'
            environment.accept(request, "user", body, wire.TYPES["user"](body))

        async def forget():
            environment.forget()

        task = asyncio.ensure_future(forget())  # it runs when the first piece has been read
        found = [piece async for piece in lines.pieces(environment, lines.Wanted(0, "event"), 60)]
        await task
        environment.close()
        return found

    assert asyncio.run(asyncio.wait_for(read(), 10)) == []


def test_the_end_of_the_emulator_ends_the_wait():
    """At once, with an answer that is whole."""
    answers = []
    with running() as endpoint, socket.create_connection(("127.0.0.1", int(endpoint.url.rsplit(":", 1)[1]))) as waiting:
        waiting.sendall(b"GET /_emulator/journal?wait=60s HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert waiting.recv(1000).startswith(b"HTTP/1.1 200 ")  # the headers: now it waits
        begun_s = time.monotonic()
        endpoint.process.terminate()
        while piece := waiting.recv(1000):
            answers.append(piece)
        endpoint.process.wait(10)

    assert time.monotonic() - begun_s < 0.9
    assert b"".join(answers).endswith(b"0\r\n\r\n")


@pytest.mark.parametrize(
    ("after", "type_name", "is_woken"),
    [
        (0, None, True),
        (0, "event", True),
        (0, "user", True),
        (0, "company", False),
        (7, None, False),
        (7, "event", False),
    ],
)
def test_who_waits_for_something_else_sleeps_on(after, type_name, is_woken):
    """Hundreds may wait while thousands of records arrive: only those look who will find something."""

    async def arrive():
        environment = Environment("main", Keys("s", "p"))
        body = b'[{"type":"user","userId":"u"},{"type":"event","userId":"u","event":"e"}]'
        wait = asyncio.ensure_future(environment.arrivals.wait(0.05, lines.Wanted(after, type_name).meets))
        await asyncio.sleep(0)  # it waits
        environment.accept(7, "bulk", body, wire.TYPES["bulk"](body))
        woken = await wait
        environment.close()
        return woken

    assert asyncio.run(arrive()) is is_woken
