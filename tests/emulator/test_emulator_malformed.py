"""What is not a request, or not a sensible one, from real sockets: a clear answer, no traceback, still serving."""

import contextlib
import json
import socket
import subprocess
import sys
import threading
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from emulator_api import PUBLISHABLE, SECRET

from bucket_loader.emulator.http import server

ROOT = Path(server.__file__).parents[3]
HEAD = f"Host: [::1]\r\nAuthorization: Bearer {SECRET}\r\nContent-Type: application/json\r\n".encode()
SLOW_S = 0.4
PROGRAM = f"""
import sys
from bucket_loader.emulator.http import protocol, server
protocol.REQUEST_S_MAX = float(sys.argv[1])
server.serve(secret_key="{SECRET}", publishable_key="{PUBLISHABLE}")
"""


class Target:
    """An emulator as a socket sees it, in a process whose every word is heard."""

    def __init__(self, process, url):
        self.process = process
        self.address = (urlsplit(url).hostname, urlsplit(url).port)

    def connect(self):
        """Open a connection."""
        return socket.create_connection(self.address, timeout=20)

    def send(self, *pieces, half_close=False):
        """Send bytes, and return everything that comes back until the other side closes."""
        with self.connect() as connection:
            sender = threading.Thread(target=_send, args=(connection, pieces, half_close))
            sender.start()
            try:
                return _received(connection)
            finally:
                sender.join()

    def post(self, path, body):
        """POST a body, and return status and document of the answer."""
        head = b"POST %s HTTP/1.1\r\n%sConnection: close\r\nContent-Length: %d\r\n\r\n"
        return answered(self.send(head % (path.encode(), HEAD, len(body)), body))

    def memory_mb(self):
        """Return how much memory the process holds."""
        return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * 4096 / 2**20

    def state(self):
        """Return the counts."""
        received = self.send(b"GET /_emulator/state HTTP/1.1\r\nHost: [::1]\r\nConnection: close\r\n\r\n")
        return answered(received)[1]


def _send(connection, pieces, half_close):
    with contextlib.suppress(OSError):  # refused before all was sent
        for piece in pieces:
            connection.sendall(piece)
        if half_close:
            connection.shutdown(socket.SHUT_WR)


def _received(connection):
    received = b""
    with contextlib.suppress(ConnectionError):
        while piece := connection.recv(65_536):
            received += piece
    return received


def answered(received):
    """Return status and document of the last answer in these bytes."""
    head, _, body = received.rpartition(b"\r\n\r\n")
    assert head, received
    return int(head.rpartition(b"HTTP/1.1 ")[2][:3]), json.loads(body)


def refused(received, status, message):
    """Hold an answer against what a refusal should be."""
    got, document = answered(received) if isinstance(received, bytes) else received
    assert (got, document["success"]) == (status, False)
    assert message in json.dumps(document["error"])


@contextlib.contextmanager
def started(request_s_max):
    """Run an emulator; at its end it must have said nothing but where it is."""
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-c", PROGRAM, str(request_s_max)],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        try:
            yield Target(process, json.loads(process.stdout.readline())["url"])
        finally:
            process.terminate()
            said = process.communicate(timeout=20)
    assert said == ("", ""), "it complained about what it was sent"


def serves(target):
    """Whether an emulator still does what it is there for."""
    return target.process.poll() is None and target.post("/user", b'{"userId":"after"}') == (200, {"success": True})


@pytest.fixture(scope="module")
def running_target():
    """Run one emulator for the whole file."""
    with started(60) as target:
        yield target


@pytest.fixture(scope="module")
def impatient():
    """Run one that waits for a request only a fraction of a second."""
    with started(SLOW_S) as target:
        yield target
        assert serves(target)


@pytest.fixture
def target(running_target):
    """Return the emulator, which must serve as well after the test as before it."""
    yield running_target
    assert serves(running_target)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "ends too early"),
        (b'{"userId":', "ends too early"),
        (b'{"userId":"a"', "ends too early"),
        (b'{"userId":"a"}}', "trailing"),
        (b'{"userId":"\xff"}', "UTF-8"),
        (b'{"userId":"a","x":"\xc3\x28"}', "UTF-8"),
        (b'{"userId":"a\x00"}', "body"),
        (b'\xef\xbb\xbf{"userId":"a"}', "body"),
        (b'{"userId":' + b"9" * 5000 + b"}", "userId"),
        (b'{"userId":1e999}', "userId"),
        (b'{"userId":NaN}', "body"),
        (b'{"userId":"a","attributes":{"n":-Infinity}}', "body"),
        (b'{"userId":"a","timestamp":1e300}', "timestamp"),
        (b'{"userId":true}', "userId"),
        (b'{"userId":["a"]}', "userId"),
        (b"null", "object"),
        (b'"a"', "object"),
        (b'{"userId":"a","attributes":{"a":' + b"[" * 500_000, "deep"),
        (b'{"userId":"a","attributes":{"a":' + b"[" * 260 + b"]" * 260 + b"}}", "deep"),
        (b'{"userId":"a","attributes":' + b'{"a":' * 100_000 + b"1" + b"}" * 100_000 + b"}", "deep"),
        (b'{"userId":"a","unknown":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "deep"),
    ],
    ids=lambda value: repr(value[:24]),
)
def test_a_body_that_is_no_record_is_a_400(target, body, message):
    """Broken, deeply nested, badly encoded and wrongly typed bodies are refused with a word about what is wrong."""
    refused(target.post("/user", body), 400, message)


@pytest.mark.parametrize("depth", [200, 245, 250, 900, 980, 2000])
def test_what_is_nearly_too_deep_is_taken_or_refused(target, depth):
    """Near any edge of what can be read, a record is applied and can be read back, or is refused."""
    body = b'{"userId":"deep%d","attributes":{"a":%s}}' % (depth, b"[" * depth + b"]" * depth)

    status, _ = target.post("/user", body)

    answer = target.send(b"GET /_emulator/users/deep%d HTTP/1.1\r\nHost: [::1]\r\nConnection: close\r\n\r\n" % depth)
    assert status in {200, 400}
    assert answer.startswith(b"HTTP/1.1 200" if status == 200 else b"HTTP/1.1 404")
    look = b"GET /_emulator/timeline?kind=user&id=deep%d HTTP/1.1\r\nHost: [::1]\r\nConnection: close\r\n\r\n" % depth
    assert target.send(look).startswith(b"HTTP/1.1 200")
    assert target.send(look.replace(b"timeline?kind=user&id=", b"search?text=")).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("path", ["/user", "/bulk", "/_emulator/features", "/_emulator/faults"])
@pytest.mark.parametrize("chunked", [False, True])
def test_fifty_megabytes_are_a_413(target, path, chunked):
    """A body far too large is refused, read to its end so that the answer is seen, and not kept."""
    piece, before_mb = b"x" * 2_000_000, target.memory_mb()
    method = b"PUT" if path.startswith("/_emulator") else b"POST"
    head = b"%s %s HTTP/1.1\r\n%sConnection: close\r\n" % (method, path.encode(), HEAD)
    if chunked:
        framed = b"%x\r\n%s\r\n" % (len(piece), piece)
        received = target.send(head + b"Transfer-Encoding: chunked\r\n\r\n", *[framed] * 25, b"0\r\n\r\n")
    else:
        received = target.send(head + b"Content-Length: 50000000\r\n\r\n", *[piece] * 25)

    refused(received, 413, "larger than")
    assert target.memory_mb() - before_mb < 40


@pytest.mark.parametrize(
    "beginning",
    [
        b"GET / HTTP/1.1\r\n" + b"X-Flood: yes\r\n" * 100_000,
        b"GET / HTTP/1.1\r\nX-Long: " + b"a" * 1_000_000,
        b"GET /" + b"a" * 1_000_000,
        b"GET /?" + b"a" * 1_000_000,
        b"POST /user HTTP/1.1\r\n" + HEAD + b"Transfer-Encoding: chunked\r\n\r\n1;" + b"x" * 1_000_000,
        b"POST /user HTTP/1.1\r\n" + HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + b"T: x\r\n" * 200_000,
    ],
    ids=["many headers", "long header", "long path", "long query", "chunk extension", "trailers"],
)
def test_a_flood_of_head_is_a_431(target, beginning):
    """Whatever grows beside the body is refused before it fills the memory."""
    before_mb = target.memory_mb()

    refused(target.send(beginning), 431, "head of the request")

    assert target.memory_mb() - before_mb < 20


@pytest.mark.parametrize(
    "garbage",
    [
        b"hello there\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 500,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"CONNECT other:443 HTTP/1.1\r\nHost: [::1]\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\nHost: [::1]\r\n\r\n",
        b"GET /features HTTP/1.1\r\nHost: [::1]\r\nX: a\x00b\r\n\r\n",
        b"POST /user HTTP/1.1\r\n" + HEAD + b"Content-Length: -5\r\n\r\n",
        b"POST /user HTTP/1.1\r\n" + HEAD + b"Content-Length: 99999999999999999999999\r\n\r\n",
        b"POST /user HTTP/1.1\r\n" + HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n123456",
        b"POST /user HTTP/1.1\r\n" + HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /user HTTP/1.1\r\n" + HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
        b"POST /user HTTP/1.1\r\n" + HEAD + b'Transfer-Encoding: chunked\r\n\r\n1\r\n{"userId":"a"}\r\n0\r\n\r\n',
        b"POST /user HTTP/1.1\r\n" + HEAD + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n{}\r\n0\r\n\r\n",
    ],
    ids=lambda value: repr(value[:16]) + repr(value[-24:]),
)
def test_what_is_not_http_is_a_400(target, garbage):
    """Noise, other protocols, and lengths and chunks that lie are refused, and nothing of them is applied."""
    before = target.state()

    refused(target.send(garbage), 400, "not valid HTTP")

    assert target.state()["users"] == before["users"]


def test_garbage_behind_a_call_does_not_take_its_answer(target):
    """A call that came whole is answered for what it is; only what came behind it is refused."""
    body = b'{"userId":"pipelined"}'
    call = b"POST /user HTTP/1.1\r\n%sContent-Length: %d\r\n\r\n%s" % (HEAD, len(body), body)

    received = target.send(call * 3 + b"garbage garbage\r\n\r\n" + call)

    assert received.count(b"HTTP/1.1 200 ") == 3
    assert received.count(b"HTTP/1.1 400 ") == 1
    refused(received, 400, "not valid HTTP")


@pytest.mark.parametrize(
    "pieces",
    [
        [b"GET /fea"],
        [b"POST /user HTTP/1.1\r\n" + HEAD + b"Content-Length: 500\r\n\r\n", b'{"userId":'],
        [b"POST /user HTTP/1.1\r\n" + HEAD + b"Content-Length: 999999999999\r\n\r\n{}"],
        [b"POST /user HTTP/1.1\r\n" + HEAD + b"Transfer-Encoding: chunked\r\n\r\nff\r\n{}\r\n"],
        [b"PUT /_emulator/faults HTTP/1.1\r\nContent-Length: 10\r\n\r\n{"],
    ],
    ids=["head", "body", "length", "chunk", "control"],
)
def test_a_request_that_does_not_arrive_is_a_408(impatient, pieces):
    """Half a request is not waited for for ever."""
    refused(impatient.send(*pieces), 408, "took longer")


def test_a_request_that_drips_is_a_408(impatient):
    """A byte now and then does not buy more time."""
    with impatient.connect() as connection:
        stop = threading.Event()

        def drip():
            with contextlib.suppress(OSError):
                connection.sendall(b"POST /user HTTP/1.1\r\n" + HEAD + b"Content-Length: 100\r\n\r\n")
                while not stop.wait(SLOW_S / 5):
                    connection.sendall(b" ")

        sender = threading.Thread(target=drip)
        sender.start()
        received = _received(connection)
        stop.set()
        sender.join()

    refused(received, 408, "took longer")


def test_a_caller_who_stops_talking_is_answered(target):
    """Closing one's own direction after a whole call loses nothing; after half a call it is a 400."""
    body = b'{"userId":"half"}'
    whole = b"POST /user HTTP/1.1\r\n%sContent-Length: %d\r\n\r\n%s" % (HEAD, len(body), body)

    assert answered(target.send(whole, half_close=True)) == (200, {"success": True})
    refused(target.send(whole[:-5], half_close=True), 400, "ends before it is whole")
    refused(target.send(whole[:20], half_close=True), 400, "ends before it is whole")
    assert target.send(b"", half_close=True) == b""


def test_callers_who_vanish_leave_no_trace(target):
    """Connections that are reset in the middle of a call are forgotten, and the emulator says nothing of it."""
    begun = b"PUT /_emulator/features HTTP/1.1\r\nContent-Length: 100\r\n\r\n{"
    for call in (begun, b"POST /bulk HTTP/1.1\r\n" + HEAD + b"Content-Length: 100\r\n\r\n[", b"GET /fe"):
        for _ in range(20):
            with target.connect() as connection:
                connection.sendall(call)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # close means reset

    assert target.state()["requests"] > 0


@pytest.mark.timeout(60)
def test_a_thousand_connections_are_nothing_special(target):
    """Connections that only stand there do not keep others from being served, and cost little."""
    before_mb = target.memory_mb()
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(target.connect()) for _ in range(1000)]
        for connection in connections[::2]:
            connection.sendall(b"POST /user HTTP/1.1\r\nHost: [::1]\r\n")

        assert target.post("/user", b'{"userId":"busy"}')[0] == 200
        assert target.memory_mb() - before_mb < 40


def test_trying_again_and_again_fills_nothing(target):
    """Hundreds of malformed calls later, the memory is what it was."""
    bad = [b'{"userId":' + b"[" * 50_000, b'{"userId":"\xff"}', b"x" * 500_000, b'[{"type":"user"}]' * 1000]
    for body in bad:
        target.post("/bulk", body)
    before_mb = target.memory_mb()

    for _ in range(60):
        for body in bad:
            target.post("/bulk", body)

    assert target.memory_mb() - before_mb < 16


def test_brackets_in_texts_are_not_depth(target):
    """Only what is nested counts as nested."""
    body = json.dumps({"userId": "brackets", "attributes": {"art": '[{"\\' * 1000}}).encode()

    assert target.post("/user", body)[0] == 200


@pytest.mark.parametrize("depth", [100, 300, 990, 100_000])
def test_deep_definitions_are_taken_whole_or_refused(target, depth):
    """A payload of any depth is given out again, or refused; reading never fails on what was accepted."""
    payload = b"[" * depth + b"]" * depth
    filters = b'{"type":"constant","value":true}'
    body = (
        b'{"features":[{"key":"deep","targeting":{"version":1,"rules":[]},"config":{"version":1,"variants":'
        b'[{"key":"v","filter":%s,"payload":%s}]}}]}' % (filters, payload)
    )
    head = b"PUT /_emulator/features HTTP/1.1\r\nHost: [::1]\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"

    status = answered(target.send(head % len(body), body))[0]

    assert status == (200 if depth == 100 else 400)
    for path in (b"/features", b"/features/evaluated", b"/features/enabled", b"/_emulator/features"):
        assert target.send(b"GET %s HTTP/1.1\r\n%sConnection: close\r\n\r\n" % (path, HEAD)).startswith(b"HTTP/1.1 200")
