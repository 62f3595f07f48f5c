"""Push: streams that tell the version of the definitions, waiting for a version, and versions that only rise."""

import asyncio
import contextlib
import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from emulator_api import PUBLISHABLE, SECRET, Api

from bucket_loader.emulator.environment import Environment, Start
from bucket_loader.emulator.evaluation.versions import Versions
from bucket_loader.emulator.http.server import running
from bucket_loader.emulator.http.streams import HEARTBEAT, message, updates
from bucket_loader.emulator.store.keys import Keys

FEATURE = {"key": "f", "targeting": {"version": 1, "rules": [{"filter": {"type": "constant", "value": True}}]}}
CLIENT = f"/sse/client?publishableKey={PUBLISHABLE}"


class Listener:
    """A client that keeps a stream open, read by hand: a line of it as it comes."""

    def __init__(self, api, path="/sse/server", **headers):
        address = urlsplit(api.url)
        self.connection = socket.create_connection((address.hostname, address.port), timeout=5)
        key = {"Authorization": f"Bearer {api.endpoint.secret_key}"} if path == "/sse/server" else {}
        words = "".join(f"{name}: {value}\r\n" for name, value in (key | headers).items())
        self.connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{words}\r\n".encode())
        self.file = self.connection.makefile("rb")
        self.status = int(self.file.readline().split()[1])
        self.headers = dict(line.decode().strip().split(": ", 1) for line in iter(self.file.readline, b"\r\n"))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()
        self.connection.close()

    def message(self):
        """Return the next message as it is on the wire; nothing when the stream has ended well."""
        size = int(self.file.readline() or b"-1", 16)
        piece = self.file.read(size)
        assert self.file.readline() == b"\r\n"
        return piece

    def version(self):
        """Return the version of the next message."""
        piece = self.message()
        assert piece.startswith(b"data: ")
        assert piece.endswith(b"\n\n")
        told = json.loads(piece[len(b"data: ") :])
        assert told["name"] == "flags-updated"
        return json.loads(told["data"])["flagStateVersion"]


def define(api, *features, **members):
    """Put definitions; return the version that they have."""
    assert api.put("/_emulator/features", {"features": list(features), **members}).status_code == 200
    return current(api)


def current(api):
    """Return the version that a reading shows."""
    return api.get("/features").json()["flagStateVersion"]


@pytest.mark.parametrize("path", ["/sse/server", CLIENT])
def test_a_stream_tells_the_version_at_once_and_after_each_change(api, path):
    """Definitions that are put, overridden and restored, and a reset, which leaves the stream open."""
    override = "/_emulator/features/f"
    changes = (
        lambda: define(api, FEATURE),
        lambda: api.put(override, {"isEnabled": False}),
        lambda: api.session.delete(api.url + override, timeout=10),
        lambda: define(api),
        lambda: api.put("/_emulator/snapshot", {"version": 1, "features": {"features": [FEATURE]}}),
        api.reset,
        lambda: define(api, FEATURE),
    )
    with Listener(api, path) as listener:
        assert (listener.status, listener.headers["content-type"]) == (200, "text/event-stream")
        assert listener.version() == current(api)
        heard = []
        for change in changes:
            change()
            heard.append((listener.version(), current(api)))

    assert all(told == is_there for told, is_there in heard)
    assert sorted(set(heard)) == heard


def test_the_message_is_what_clients_read(api):
    """Byte for byte: the data is a text with JSON in it."""
    with Listener(api) as listener:
        version = current(api)
        expected = '{"name":"flags-updated","data":"{\\"flagStateVersion\\":%d}"}' % version  # noqa: UP031  # braces
        assert listener.message().decode() == f"data: {expected}\n\n"


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/sse/server", {"Authorization": "Bearer nobody"}, 401),
        ("/sse/server", {"Authorization": f"Bearer {PUBLISHABLE}"}, 403),
        ("/sse/client", {}, 401),
        ("/sse/client?publishableKey=nobody", {}, 401),
        ("/sse/client", {"Authorization": f"Bearer {PUBLISHABLE}"}, 200),
        ("/sse/client", {"Authorization": f"Bearer {SECRET}"}, 200),
        (f"/{PUBLISHABLE}/sse/client", {}, 404),
    ],
)
def test_a_stream_wants_a_key(api, path, headers, status):
    """As the other calls do; the legacy API has none."""
    with Listener(api, path, **headers) as listener:
        assert listener.status == status


def test_a_page_of_another_origin_may_listen(api):
    """With credentials too."""
    with Listener(api, CLIENT, Origin="https://shop.example") as listener:
        assert listener.headers["access-control-allow-origin"] == "https://shop.example"
        assert listener.headers["access-control-allow-credentials"] == "true"


def test_each_environment_tells_its_own_versions(api):
    """A change of one wakes nobody who listens to another."""
    other = api.post("/_emulator/environments", {"name": "other"}).json()
    path = f"/sse/client?publishableKey={other['publishableKey']}"
    with Listener(api) as ours, Listener(api, path) as theirs:
        first = (ours.version(), theirs.version())
        define(api, FEATURE)
        assert ours.version() > first[0]
        api.put("/_emulator/environments/other/features", {"features": []})
        assert theirs.version() > first[1]

        assert api.session.delete(f"{api.url}/_emulator/environments/other", timeout=5).status_code == 200
        while theirs.message():  # the stream of one that is taken away ends
            pass


def test_streams_end_with_the_emulator():
    """Within a second, and well: the last piece is there."""
    with running(secret_key=SECRET) as endpoint:
        listeners = [Listener(Api(endpoint)) for _ in range(20)]
        waiting = ThreadPoolExecutor(1).submit(requests.get, f"{endpoint.url}/features?waitForVersion=9{'0' * 14}",
                                               headers={"Authorization": f"Bearer {SECRET}"}, timeout=5)  # fmt: skip
        assert all(listener.version() for listener in listeners)
        begun = time.monotonic()
        endpoint.process.terminate()
        assert endpoint.process.wait(5) == 0
        took_s = time.monotonic() - begun
        assert [listener.message() for listener in listeners] == [b""] * 20
        for listener in listeners:
            listener.__exit__()

    assert waiting.result().json()["features"] == []
    assert took_s < 0.9


def test_who_has_left_costs_nothing(api):
    """The streams of clients that closed are let go of at once, with the memory that they had."""
    open_before, memory = connections(api), []
    for _ in range(8):
        listeners = [Listener(api) for _ in range(300)]
        assert connections(api) >= open_before + 300
        for listener in listeners:
            listener.__exit__()
        until(lambda: connections(api) <= open_before)
        memory.append(memory_mib(api))

    assert memory[-1] - memory[1] < 10  # a stream has 13 KiB, and so all of them would have 23 MiB


def connections(api):
    """Return how many sockets the emulator has open."""
    return sum(1 for _ in Path(f"/proc/{api.endpoint.process.pid}/fd").iterdir())


def memory_mib(api):
    """Return how much memory the emulator has."""
    status = Path(f"/proc/{api.endpoint.process.pid}/status").read_text("utf-8")
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def until(holds, wait_s=5.0):
    """Wait until something holds."""
    end = time.monotonic() + wait_s
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_silent_stream_has_a_heartbeat_and_a_slow_reader_hears_the_latest():
    """Nothing is kept for whoever reads slowly; a comment comes in between."""

    async def listen():
        versions = Versions()
        versions.rise(7)
        heard = updates(versions, heartbeat_s=0.01)
        pieces = [await anext(heard), await anext(heard)]
        for version in range(8, 5000):
            versions.rise(version)
        pieces += [await anext(heard), await anext(heard)]
        versions.end()
        return [*pieces, *[piece async for piece in heard]]

    assert asyncio.run(listen()) == [message(7), HEARTBEAT, message(4999), HEARTBEAT]


# --- waiting for a version ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/features", "/features/enabled", "/features/evaluated"])
def test_a_reading_waits_for_the_version_that_it_names(api, path):
    """The answer comes with the change, and has it."""
    wanted = current(api) + 60_000
    with ThreadPoolExecutor(1) as calling:
        waiting = calling.submit(api.get, f"{path}?waitForVersion={wanted}")
        until(lambda: api.state()["requests"] == 2)
        define(api, FEATURE)
        assert not waiting.done()
        define(api, FEATURE, flagStateVersion=wanted)
        answer = waiting.result(1).json()

    assert answer["flagStateVersion"] == wanted
    assert len(answer["features"]) == 1


@pytest.mark.parametrize("version", ["0", "1", "-1", "x", "", "1e99", "9" * 40])
def test_what_is_there_or_no_version_is_not_waited_for(api, version):
    """An earlier version is there already; what is none is ignored."""
    begun = time.monotonic()

    assert api.get(f"/features?waitForVersion={version}").status_code == 200
    assert time.monotonic() - begun < 1


def test_whoever_may_not_read_does_not_wait(api):
    """A refusal comes at once."""
    begun = time.monotonic()
    url = f"{api.url}/features?waitForVersion=9{'0' * 14}"

    assert requests.get(url, timeout=5).status_code == 401
    assert requests.get(f"{url}&publishableKey={PUBLISHABLE}", timeout=5).status_code == 403
    assert time.monotonic() - begun < 1


def test_waiting_has_an_end():
    """After its time there is the version that there is, whatever it is."""

    async def wait():
        versions = Versions()
        versions.rise(1)
        await versions.reach(2, 0.05)
        return versions.current

    assert asyncio.run(wait()) == 1


# --- versions only rise ---------------------------------------------------------------------------------------------


def test_a_version_only_rises(api):
    """With each change: definitions with an older number, with a later one, after that one too, and a reset."""
    versions = [current(api), define(api, FEATURE, flagStateVersion=3), define(api)]
    versions += [define(api, flagStateVersion=versions[-1] + 10**6), define(api, FEATURE)]
    api.reset()
    versions.append(current(api))

    assert versions == sorted(set(versions))
    assert versions[3] == versions[2] + 10**6


def test_definitions_that_are_refused_change_no_version(api):
    """Nobody is told of what did not happen."""
    before = current(api)

    assert api.put("/_emulator/features", {"features": [{}]}).status_code == 400
    assert current(api) == before


@pytest.mark.parametrize("features", [None, {"features": [FEATURE], "flagStateVersion": 2}])
@pytest.mark.parametrize("is_kept", [True, False])
def test_a_new_start_never_sets_a_version_back(tmp_path, features, is_kept):
    """It begins at the time; with a folder it rises also where it was far ahead of the clock, and after a reset."""
    seen, ahead_ms = [], 10**9 if is_kept else 0
    for change in (
        lambda known: known.define({"features": [FEATURE], "flagStateVersion": int(time.time() * 1000) + ahead_ms}),
        lambda known: known.define({"features": [], "flagStateVersion": 5}),
        Environment.reset,
        lambda _: None,
    ):
        folder = tmp_path if is_kept else None
        time.sleep(0 if is_kept else 0.01)  # a process takes longer than that to start
        with contextlib.closing(Environment("main", Keys("s", "p"), Start(features=features), folder)) as environment:
            seen.append(environment.versions.current)
            change(environment)
            seen.append(environment.versions.current)
            assert environment.definitions.flag_state_version == seen[-1]

    assert abs(seen[0] / 1000 - time.time()) < 60
    assert seen == sorted(seen)


def test_without_a_change_a_new_start_keeps_the_version(tmp_path):
    """The same definitions have the same version."""
    seen = []
    for turn in range(2):
        with contextlib.closing(Environment("main", Keys("s", "p"), data_dir=tmp_path)) as environment:
            if turn == 0:
                environment.define({"features": [FEATURE]})
            seen.append(environment.versions.current)

    assert seen[0] == seen[1]


# --- faults -------------------------------------------------------------------------------------------------------


def test_a_stale_answer_has_the_definitions_before_the_last_change(api):
    """And their version; it waits for none. Later calls see what holds."""
    older = define(api, FEATURE)
    newer = define(api)
    api.fault({"kind": "stale_version", "times": 3})
    begun = time.monotonic()

    paths = ("/features", "/features/evaluated", "/features/enabled")
    answers = [api.get(f"{path}?waitForVersion={newer + 60_000}").json() for path in paths]
    assert time.monotonic() - begun < 3
    answers.append(api.get("/features").json())

    assert [answer["flagStateVersion"] for answer in answers] == [older, older, older, newer]
    assert [len(answer["features"]) for answer in answers] == [1, 1, 1, 0]
    noted = api.get("/_emulator/requests?limit=2").json()["requests"]
    assert [one["fault"] for one in noted] == [None, "stale_version"]


def test_after_a_reset_a_stale_answer_shows_nothing_of_before(api):
    """One test does not see another's definitions."""
    define(api, FEATURE)
    api.reset()
    api.fault({"kind": "stale_version"})

    assert api.get("/features").json()["features"] == []


@pytest.mark.parametrize(("words", "messages"), [({}, 1), ({"messages": 2}, 2), ({"seconds": 0.05}, 1)])
def test_a_stream_can_be_dropped(api, words, messages):
    """After so many messages, or seconds: its end is missing, and others are not harmed."""
    api.fault({"kind": "dropped_stream", "times": 1, **words})
    with Listener(api) as listener, Listener(api) as other:
        for number in range(messages):
            if number:
                define(api, FEATURE)
            assert listener.version()
        assert listener.file.read() == b""  # not the last piece that a stream has which ends well

        assert other.version()
        told = other.version() if messages > 1 else define(api)
        assert told == current(api)


@pytest.mark.parametrize("words", [{}, {"seconds": 0}])
def test_a_stream_that_is_open_can_be_dropped(api, words):
    """An order reaches the clients that listen already: after their next message, or at once."""
    with Listener(api) as listener, Listener(api, CLIENT) as other:
        assert listener.version()
        assert other.version()
        api.fault({"kind": "dropped_stream", "on": "/sse/server", **words})
        version = define(api, FEATURE)
        if not words:
            assert listener.version() == version
        assert listener.file.read() == b""
        assert other.version() == version

    assert api.get("/_emulator/faults").json()["faults"][0]["struck"] == 1


@pytest.mark.parametrize(
    ("fault", "status"),
    [({"kind": "status", "status": 503}, 503), ({"kind": "html"}, 200), ({"kind": "latency", "seconds": 0.01}, 200)],
)
def test_other_faults_can_be_for_streams(api, fault, status):
    """They happen when a client connects."""
    api.fault({**fault, "on": "GET /sse/server"})

    with Listener(api) as listener:
        assert listener.status == status
        assert (listener.headers["content-type"] == "text/event-stream") is (fault["kind"] == "latency")


def test_a_stream_can_be_refused_by_a_cut(api):
    """The connection closes without an answer."""
    api.fault({"kind": "cut_before", "on": "/sse/server"})

    with pytest.raises(requests.ConnectionError):
        api.get("/sse/server")
