"""An address of this machine that leads elsewhere (`ssh -L`, a sidecar): what has no name is no emulator."""

import http.client
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest
from workplace import KEY, Workplace

from bucket_loader.config import destination_at
from bucket_loader.model import PatienceError
from bucket_loader.runs import emulated

STREAMS = """
- name: events
  record: event
  source: {type: csv, path: events.csv}
  key: [n]
  fields: {userId: id, event: {value: did}, attributes: {n: n}}
"""
NAME = "bucket-emulator"


class Door:
    """A port that leads to an emulator; as a tunnel to the API nothing comes through that says what it is."""

    def __init__(self, url):
        self._to = urlsplit(url).netloc
        self.is_tunnel = True
        self._server, self.port = None, 0

    @property
    def url(self):
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"

    def open(self):
        """Listen, on the same port each time."""
        door = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                door.lead(self)

            do_GET = do_POST  # noqa: N815  # the name that the server calls

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self):
        """Listen no more."""
        self._server.shutdown()
        self._server.server_close()

    def lead(self, call):
        """Pass a call on, and its answer back."""
        body = call.rfile.read(int(call.headers.get("content-length") or 0))
        hidden = {"host", "connection", "content-length", "transfer-encoding", *([NAME] if self.is_tunnel else [])}
        status, answer, headers = 404, b'{"success":false,"error":{"code":"NOT_FOUND"}}', []
        if not (self.is_tunnel and call.path.startswith("/_emulator")):
            further = http.client.HTTPConnection(self._to)
            given = {name: text for name, text in call.headers.items() if name.lower() not in hidden}
            further.request(call.command, call.path, body, given)
            found = further.getresponse()
            status, answer, headers = found.status, found.read(), found.getheaders()
            further.close()
        call.send_response(status)
        for name, text in headers:
            if name.lower() not in hidden:
                call.send_header(name, text)
        call.send_header("Content-Length", str(len(answer)))
        call.send_header("Connection", "close")
        call.end_headers()
        call.wfile.write(answer)
        call.close_connection = True


@pytest.fixture
def door(emulator):
    """A door that is open, as a tunnel."""
    made = Door(emulator.url)
    made.open()
    yield made
    made.close()


@pytest.fixture
def at_door(tmp_path, door):
    """A workplace with thirty events that go through the door."""
    place = Workplace(tmp_path, door.url)
    write(place, 30)
    place.pipeline(STREAMS)
    return place


def write(place, count):
    """Let there be so many events."""
    place.write("events.csv", "id,n\n" + "".join(f"u{n},{n}\n" for n in range(count)))


def delivered(result):
    """Return how many events a run delivered."""
    return result.summary["streams"]["events"]["delivered"]


def test_a_memory_of_the_api_is_not_adopted_by_an_emulator_in_its_place(at_door, door, emulator):
    """It takes nothing, and nothing is forgotten; with the tunnel back what is new arrives once."""
    assert delivered(at_door.run()) == 30
    write(at_door, 31)
    door.is_tunnel = False
    refused = at_door.run()
    planned = at_door.command("plan", "--json")
    between = emulator.state()["events"]
    door.is_tunnel = True
    after = at_door.run()

    assert (refused.exit_code, between) == (2, 30)
    assert "now an emulator answers at" in refused.stderr
    assert "everything is new" not in planned.stderr
    assert (after.exit_code, emulator.state()["events"]) == (0, 31)


def test_what_is_forgotten_or_kept_elsewhere_leads_out(at_door, door):
    """The hint names both: a state of its own, and `forget`, after the unfinished run is closed."""
    at_door.run()
    write(at_door, 31)
    door.is_tunnel = False
    run = at_door.run().summary["run"]

    assert delivered(at_door.run("--state", str(at_door.folder / "own"))) == 31
    assert at_door.command("abandon", run).exit_code == 0
    assert at_door.command("forget", "--stream", "events", "--yes").exit_code == 0
    assert (delivered(at_door.run()), delivered(at_door.run())) == (31, 0)


def test_what_an_emulator_took_does_not_count_as_known_to_the_api(at_door, door):
    """The run is refused, and so is the plan; `check` warns. After `forget` all is sent."""
    door.is_tunnel = False
    assert delivered(at_door.run()) == 30
    door.is_tunnel = True
    refused, planned, checked = at_door.run(), at_door.command("plan"), at_door.command("check")

    assert (refused.exit_code, planned.exit_code) == (2, 2)
    assert "what answers at 127.0.0.1" in refused.stderr
    assert "is none" in refused.stderr
    assert "warning: what is remembered was delivered to an emulator" in checked.stderr
    door.is_tunnel = False
    assert at_door.command("forget", "--stream", "events", "--yes").exit_code == 0
    door.is_tunnel = True
    assert (delivered(at_door.run()), delivered(at_door.run())) == (30, 0)


def test_a_tunnel_that_takes_the_place_of_an_emulator_under_a_run_ends_it(at_door, door):
    """What has no name took a chunk that was meant for the emulator."""
    text = at_door.folder.joinpath("pipeline.yaml").read_text()
    at_door.write("pipeline.yaml", text.replace("streams:\n", "  concurrency: 1\n  chunk: {records: 10}\nstreams:\n"))
    lead, calls = door.lead, iter(range(100))

    def turns(call):
        door.is_tunnel = next(calls) > 0
        lead(call)

    door.is_tunnel, door.lead = False, turns
    ended = at_door.run()

    assert (ended.exit_code, "is none" in ended.stderr) == (2, True)
    assert delivered(ended) < 30


@pytest.mark.long
def test_a_tunnel_that_is_down_is_waited_for(at_door, door):
    """It was there before, and it is no emulator that a person forgot to start."""
    at_door.run()
    write(at_door, 31)
    door.close()
    threading.Timer(2, door.open).start()
    began = time.monotonic()
    run = at_door.run("--patience", "60s")

    assert (run.exit_code, delivered(run)) == (0, 1)
    assert time.monotonic() - began > 1


def test_who_cannot_say_who_it_is_is_not_believed_and_not_called_absent(at_door, door):
    """An answer that cannot be read ends the run with 75; what is remembered is neither used nor forgotten."""
    door.is_tunnel = False
    at_door.run()
    lead = door.lead
    door.lead = lambda call: call.connection.shutdown(socket.SHUT_RDWR)
    unread = at_door.run()
    with pytest.raises(PatienceError, match="cannot be used right now"):
        emulated.emulator_at(destination_at(door.url, KEY))
    door.lead = lead
    after = at_door.run()

    assert (unread.exit_code, "nothing listens" in unread.stderr) == (75, False)
    assert (after.exit_code, delivered(after)) == (0, 0)
