"""Everything that a server, or what stands before it, can answer: each with its exact verdict."""

import gzip
import json
import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from scripted_server import KEY, OK, SUCCESS, Peer, chunked, reply, scripted, until_closed

from bucket_loader.delivery.http.connection import ANSWER_BYTES_MAX, Meant
from bucket_loader.model.outcomes import Verdict

pytestmark = pytest.mark.breadth

DELIVERED, NOT_SENT, REJECTED = Verdict.DELIVERED, Verdict.NOT_SENT, Verdict.REJECTED
REFUSED_KEY, TOO_BIG, THROTTLED = Verdict.REFUSED_KEY, Verdict.TOO_BIG, Verdict.THROTTLED
SERVER_ERROR, UNKNOWN, MISROUTED = Verdict.SERVER_ERROR, Verdict.UNKNOWN, Verdict.MISROUTED
BLOCKED = Verdict.BLOCKED

BODY = b'[{"type":"user","userId":"1"}]'
LARGE_BODY = b'["' + b"x" * 30_000_000 + b'"]'  # more than any socket's buffers hold
SLACK_S = 3.0  # on a machine that others use as well; without a deadline these would take a minute or for ever
FIN = "fin"
RST = "rst"
NO = b'{"success":false,"error":{"code":"BODY_VALIDATION_FAILED","message":"no","validationErrors":[]}}'
HTML = b"<!doctype html><html><body>Sign in</body></html>"


@dataclass(frozen=True)
class Pause:
    """Nothing for so many seconds."""

    seconds: float


@dataclass(frozen=True)
class Drip:
    """One byte at a time."""

    data: bytes
    pause_s: float = 0.05


@dataclass(frozen=True)
class Flood:
    """The same for ever."""

    piece: bytes


Step = bytes | Pause | Drip | Flood | str


@dataclass(frozen=True)
class Case:
    """What a server does with a request, and what that means: the same at any time of a run."""

    name: str
    steps: tuple[Step, ...]
    verdict: Verdict
    body: bytes = BODY
    timeout_s: float = 20.0
    reads: bool = True


def case(name: str, *steps: Step, verdict: Verdict, **more: object) -> Case:
    """Return a case."""
    return Case(name, steps, verdict, **more)  # type: ignore[arg-type]


def play(step: Step, peer: Peer) -> None:
    """Do one thing."""
    match step:
        case bytes():
            peer.send(step)
        case Pause():
            peer.pause(step.seconds)
        case Drip():
            peer.drip(step.data, step.pause_s)
        case Flood():
            peer.flood(step.piece)
        case _:
            (peer.fin if step == FIN else peer.rst)()


def script_of(found: Case, *, kept: bool = False) -> Callable[[Peer], None]:
    """Make the script that plays a case; on a kept connection it serves another request before."""

    def script(peer: Peer) -> None:
        if kept:
            peer.read()
            peer.send(OK)
            peer.server.received.clear()
        while True:
            if found.reads:
                peer.read()
            else:
                peer.read_head()
            for step in found.steps:
                play(step, peer)
            if found.steps[-1] in (FIN, RST) or not found.reads:
                return

    return script


def ok(body: bytes, *headers: str, content_type: str | None = "application/json") -> bytes:
    """Answer 200."""
    return reply(200, body, *headers, content_type=content_type)


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
HANGS = {"timeout_s": 0.6}

SUCCESSES = [
    case("plain", OK, verdict=DELIVERED),
    case("in chunks", chunked(b'{"succ', b'ess":true}'), verdict=DELIVERED),
    case("in chunks, closed before the last line", chunked(SUCCESS, end=b"0\r\n"), FIN, verdict=DELIVERED),
    case("until closed", until_closed(SUCCESS), FIN, verdict=DELIVERED),
    case("in two segments", OK[:-5], Pause(0.05), OK[-5:], verdict=DELIVERED),
    case("with a charset", ok(SUCCESS, content_type="application/json; charset=utf-8"), verdict=DELIVERED),
    case("without a type", ok(SUCCESS, content_type=None), verdict=DELIVERED),
    case("as text", ok(SUCCESS, content_type="text/plain"), verdict=DELIVERED),
    case("with more members", ok(b' {"feedbackId": "f", "success" : true, "x": [NaN]}\n'), verdict=DELIVERED),
    case("with a byte order mark", ok(b"\xef\xbb\xbf" + SUCCESS), verdict=DELIVERED),
    case("as UTF-16", ok(SUCCESS.decode().encode("utf-16")), verdict=DELIVERED),
    case("said twice alike", ok(b'{"success":true,"success":true}'), verdict=DELIVERED),
    case("just below the cap", ok(SUCCESS + b" " * (ANSWER_BYTES_MAX - len(SUCCESS))), verdict=DELIVERED),
    case("HTTP/1.0", OK.replace(b"HTTP/1.1", b"HTTP/1.0"), FIN, verdict=DELIVERED),
    case("after 100", b"HTTP/1.1 100 Continue\r\n\r\n" + OK, verdict=DELIVERED),
    case("after 100 twice", b"HTTP/1.1 100 Continue\r\n\r\n" * 2, Pause(0.05), OK, verdict=DELIVERED),
    case("compressed in name only", ok(SUCCESS, "Content-Encoding: gzip"), verdict=DELIVERED),
    case("after 102 and 103", b"HTTP/1.1 102 P\r\n\r\nHTTP/1.1 103 E\r\nLink: x\r\n\r\n", OK, verdict=DELIVERED),
    case("after an empty line", b"\r\n" + OK, verdict=DELIVERED),
    case("without a reason", OK.replace(b"200 Whatever", b"200"), verdict=DELIVERED),
    case("offers another protocol", ok(SUCCESS, "Connection: Upgrade", "Upgrade: h2,h2c"), verdict=DELIVERED),
    case("in chunks with words", chunked(end=b'0010;a="b;c"\r\n' + SUCCESS + b"\r\n0;x\r\n\r\n"), verdict=DELIVERED),
    case("in chunks, more headers", chunked(SUCCESS, end=b"0\r\nX-T: 1\r\nY: 2\r\n\r\n"), verdict=DELIVERED),
    case("in chunks, said twice", chunked(SUCCESS).replace(b": chunked", b": chunked, chunked"), verdict=DELIVERED),
]

CHUNKS = chunked(SUCCESS)
BOTH = b"Transfer-Encoding: chunked\r\nContent-Length: %d\r\n"
# What no server may send and some do: it is read, and the connection ends with it.
DOUBTFUL = [
    case("chunks and a length", CHUNKS.replace(b"Transfer-Encoding: chunked\r\n", BOTH % 16), verdict=DELIVERED),
    case("chunks and another length", CHUNKS.replace(b"Transfer-Encoding: chunked\r\n", BOTH % 999), verdict=DELIVERED),
    case("a length and chunks", CHUNKS.replace(b"Transfer", b"Content-Length: 16\r\nTransfer"), verdict=DELIVERED),
    case("a length twice", ok(SUCCESS, "Content-Length: 16"), verdict=DELIVERED),
    case("a length twice in a line", OK.replace(b": 16", b": 16, 16"), verdict=DELIVERED),
    case("identity and a length", ok(SUCCESS, "Transfer-Encoding: identity"), verdict=DELIVERED),
    case("lines that end in LF", OK.replace(b"\r\n", b"\n"), verdict=DELIVERED),
    case("lines that end in LF after 100", b"HTTP/1.1 100 Continue\n\n", OK.replace(b"\r\n", b"\n"), verdict=DELIVERED),
    case("a blank before a colon", OK.replace(b"Length:", b"Length :"), verdict=DELIVERED),
    case("a header in two lines", ok(SUCCESS, "X: a\r\n b"), verdict=DELIVERED),
    case("a header in two lines, in parts", OK[:-20], Pause(0.05), b"\r\nX: a\r\n b\r\n\r\n" + SUCCESS,
         verdict=DELIVERED),
    case("a control character", ok(SUCCESS, "X: a\x01b"), verdict=DELIVERED),
    case("a line without a colon", ok(SUCCESS, "PHP Warning in line 3"), verdict=DELIVERED),
    case("a header with a blank in its name", ok(SUCCESS, "X Y: 1"), verdict=DELIVERED),
    case("a chunk with a blank", chunked(end=b"10 \r\n" + SUCCESS + b"\r\n0\r\n\r\n"), verdict=DELIVERED),
    case("a refusal with chunks and a length", CHUNKS.replace(b"Transfer-Encoding: chunked\r\n", BOTH % 16).replace(
        b"200 OK", b"400 No"), verdict=REJECTED),
]  # fmt: skip

NO_SUCCESSES = [
    case("says false", ok(NO), verdict=REJECTED),
    case("says false and no more", ok(b'{"success":false}'), verdict=REJECTED),
    case("says both", ok(b'{"success":false,"success":true}'), verdict=UNKNOWN),
    case("says both the other way", ok(b'{"success":true,"success":false}'), verdict=UNKNOWN),
    case("says null", ok(b'{"success":null}'), verdict=UNKNOWN),
    case("says true as text", ok(b'{"success":"true"}'), verdict=UNKNOWN),
    case("says 1", ok(b'{"success":1}'), verdict=UNKNOWN),
    case("says NaN", ok(b'{"success":NaN}'), verdict=UNKNOWN),
    case("says nothing", ok(b"{}"), verdict=UNKNOWN),
    case("is null", ok(b"null"), verdict=UNKNOWN),
    case("is true", ok(b"true"), verdict=UNKNOWN),
    case("is a list", ok(b"[]"), verdict=UNKNOWN),
    case("is a list of success", ok(b"[" + SUCCESS + b"]"), verdict=UNKNOWN),
    case("is twice", ok(SUCCESS * 2), verdict=UNKNOWN),
    case("is empty", ok(b""), verdict=UNKNOWN),
    case("is empty and has no type", ok(b"", content_type=None), verdict=UNKNOWN),
    case("is bad UTF-8", ok(b'{"success":true,"x":"\xff"}'), verdict=UNKNOWN),
    case("is a number too long", ok(b'{"success":true,"x":' + b"1" * 5_000 + b"}"), verdict=UNKNOWN),
    case("is nested too deeply", ok(b'{"success":true,"x":' + b"[" * 100_000), verdict=UNKNOWN),
    case("is a web page", ok(HTML, content_type="text/html"), verdict=MISROUTED),
    case("is a web page that says JSON", ok(HTML), verdict=UNKNOWN),
    case("is text", ok(b"OK", content_type="text/plain"), verdict=MISROUTED),
    case("is gzip", ok(gzip.compress(SUCCESS), "Content-Encoding: gzip"), verdict=UNKNOWN),
    case("is half a gzip", ok(gzip.compress(SUCCESS)[:12], "Content-Encoding: gzip"), verdict=UNKNOWN),
    case("is 201", reply(201, SUCCESS), verdict=UNKNOWN),
    case("is 202", reply(202, SUCCESS), verdict=UNKNOWN),
    case("is 204", b"HTTP/1.1 204 No Content\r\n\r\n", verdict=UNKNOWN),
    case("is 206", reply(206, SUCCESS), verdict=UNKNOWN),
    case("is 101", b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n", verdict=UNKNOWN),
]

BROKEN = [
    case("closed before any byte", FIN, verdict=UNKNOWN),
    case("reset before any byte", RST, verdict=UNKNOWN),
    case("half a status line", b"HTTP/1.1 2", FIN, verdict=UNKNOWN),
    case("a status line alone", b"HTTP/1.1 200 OK\r\n", FIN, verdict=UNKNOWN),
    case("a status line without its end", b"HTTP/1.1 200", FIN, verdict=UNKNOWN),
    case("half of the headers", HEAD, FIN, verdict=UNKNOWN),
    case("half of a header", b"HTTP/1.1 200 OK\r\nContent-Le", FIN, verdict=UNKNOWN),
    case("headers alone", HEAD + b"Content-Length: 16\r\n\r\n", FIN, verdict=UNKNOWN),
    case("a body cut short", OK[:-4], FIN, verdict=UNKNOWN),
    case("a body reset", OK[:-4], RST, verdict=UNKNOWN),
    case("a whole object, announced as longer", OK.replace(b": 16", b": 17"), FIN, verdict=UNKNOWN),
    case("a shorter announcement", OK.replace(b": 16", b": 12"), verdict=UNKNOWN),
    case("cut until closed", until_closed(SUCCESS[:6]), FIN, verdict=UNKNOWN),
    case("chunks without an end", chunked(SUCCESS, end=b""), FIN, verdict=UNKNOWN),
    case("a chunk cut short", chunked(end=b"10\r\n" + SUCCESS[:8]), FIN, verdict=UNKNOWN),
    case("a chunk of nonsense", chunked(end=b"zz\r\n" + SUCCESS + b"\r\n0\r\n\r\n"), FIN, verdict=UNKNOWN),
    case("a chunk of a terabyte", chunked(end=b"ffffffffff\r\n" + SUCCESS), FIN, verdict=UNKNOWN),
    case("only 103", b"HTTP/1.1 103 Early Hints\r\n\r\n", FIN, verdict=UNKNOWN),
    case("chunks but not the last", chunked(SUCCESS, end=b"0"), FIN, verdict=UNKNOWN),
    case("half a head with a header in two lines", HEAD + b"X: a\r\n b\r\n", FIN, verdict=UNKNOWN),
    case("two lengths in two lines", ok(SUCCESS, "Content-Length: 17"), FIN, verdict=UNKNOWN),
    case("a length that is none", OK.replace(b": 16", b": 0x10"), FIN, verdict=UNKNOWN),
    case("two lengths", OK.replace(b": 16", b": 16, 17"), FIN, verdict=UNKNOWN),
    case("another protocol", b"SSH-2.0-OpenSSH_9.2\r\n", FIN, verdict=UNKNOWN),
    case("HTTP/0.9", SUCCESS, FIN, verdict=UNKNOWN),
    case("no number", b"HTTP/1.1 OK 200\r\n\r\n", FIN, verdict=UNKNOWN),
    case("a number too small", b"HTTP/1.1 099 Low\r\n\r\n", FIN, verdict=UNKNOWN),
    case("a header line too long", HEAD + b"X: " + b"x" * 70_000 + b"\r\n\r\n", FIN, verdict=UNKNOWN),
    case("too many headers", HEAD + b"X: x\r\n" * 200 + b"\r\n", FIN, verdict=UNKNOWN),
    case("an early 200, then closed", OK, Pause(0.2), FIN, verdict=UNKNOWN, body=LARGE_BODY, reads=False),
    case("an early 200, then reset", OK, RST, verdict=UNKNOWN, body=LARGE_BODY, reads=False),
]

SLOW = [
    case("silence", Pause(60), verdict=UNKNOWN, **HANGS),
    case("silence after 102", b"HTTP/1.1 102 Processing\r\n\r\n", Pause(60), verdict=UNKNOWN, **HANGS),
    case("silence after 103", b"HTTP/1.1 103 Early Hints\r\n\r\n", Pause(60), verdict=UNKNOWN, **HANGS),
    case("silence after 100", b"HTTP/1.1 100 Continue\r\n\r\n", Pause(60), verdict=UNKNOWN, **HANGS),
    case("headers, then silence", HEAD + b"Content-Length: 16\r\n\r\n", Pause(60), verdict=UNKNOWN, **HANGS),
    case("a success that never closes", until_closed(SUCCESS), Pause(60), verdict=UNKNOWN, **HANGS),
    case("a dripping header", Drip(HEAD * 20), verdict=UNKNOWN, **HANGS),
    case("a dripping body", OK[:-16], Drip(SUCCESS, 0.4), verdict=UNKNOWN, **HANGS),
    case("a dripping refusal", reply(400, NO)[:-90], Drip(NO[-90:]), verdict=UNKNOWN, **HANGS),
    case("dripping chunks", chunked(end=b""), Drip(b"1\r\n \r\n" * 20), verdict=UNKNOWN, **HANGS),
    case("an early 200, and nothing is read", OK, Pause(60), verdict=UNKNOWN, body=LARGE_BODY, reads=False, **HANGS),
    case("nothing is read", Pause(60), verdict=UNKNOWN, body=LARGE_BODY, reads=False, **HANGS),
    case("100 for ever", Flood(b"HTTP/1.1 100 Continue\r\n\r\n" * 100), verdict=UNKNOWN, **HANGS),
]

ENDLESS = [
    case("an endless body", HEAD + b"\r\n" + SUCCESS[:-1] + b',"x":"', Flood(b"x" * 65_536), verdict=UNKNOWN),
    case("endless blanks", HEAD + b"\r\n" + SUCCESS, Flood(b" " * 65_536), verdict=UNKNOWN),
    case("endless chunks", chunked(end=b""), Flood(b"10000\r\n" + b"x" * 65_536 + b"\r\n"), verdict=UNKNOWN),
    case("an endless line", b"HTTP/1.1 200 ", Flood(b"x" * 65_536), verdict=UNKNOWN),
    case("an endless header", HEAD + b"X: ", Flood(b"x" * 65_536), verdict=UNKNOWN),
    case("endless headers", HEAD, Flood(b"X: x\r\n" * 10_000), verdict=UNKNOWN),
    case("an endless page", b"HTTP/1.1 200 OK\r\n\r\n", Flood(HTML * 1000), verdict=UNKNOWN),
    case("an endless refusal", b"HTTP/1.1 400 No\r\n\r\n", Flood(b"x" * 65_536), verdict=UNKNOWN),
    case("an endless redirect", b"HTTP/1.1 302 F\r\nLocation: /\r\n\r\n", Flood(HTML * 1000), verdict=UNKNOWN),
    case("a gzip bomb", ok(gzip.compress(bytes(1_000_000), 9) * 200, "Content-Encoding: gzip"), verdict=UNKNOWN),
]

REDIRECTS = [
    *(
        case(f"{status}", reply(status, HTML, "Location: https://elsewhere.invalid/"), verdict=MISROUTED)
        for status in (300, 301, 302, 303, 305, 307, 308)
    ),
    case("304", b"HTTP/1.1 304 Not Modified\r\n\r\n", verdict=MISROUTED),
    case("302 without a place", reply(302), verdict=MISROUTED),
    case("302 to nonsense", reply(302, b"", "Location: http://["), verdict=MISROUTED),
    case("302 to bad UTF-8", reply(302, b"", "Location: /\xff\xfe"), verdict=MISROUTED),
    case("302 to a file", reply(302, b"", "Location: file:///etc/passwd"), verdict=MISROUTED),
    case("302 to itself", reply(302, b"", "Location: /bulk"), verdict=MISROUTED),
    case("307 with a success", reply(307, SUCCESS, "Location: /bulk"), verdict=MISROUTED),
]

REFUSALS = [
    case("400", reply(400, NO), verdict=REJECTED),
    case("400 with a web page", reply(400, HTML, content_type="text/html"), verdict=SERVER_ERROR),
    case("400 with nothing", reply(400), verdict=SERVER_ERROR),
    case("400 with a list", reply(400, b"[]"), verdict=SERVER_ERROR),
    case("400 cut short", reply(400, NO)[:-9], FIN, verdict=UNKNOWN),
    case("401", reply(401, NO), verdict=REFUSED_KEY),
    case("401 with nothing", reply(401), verdict=BLOCKED),
    case("403", reply(403, NO), verdict=REFUSED_KEY),
    case("403 with a web page", reply(403, HTML, content_type="text/html"), verdict=BLOCKED),
    case("402", reply(402, NO), verdict=BLOCKED),
    case("404", reply(404, NO), verdict=BLOCKED),
    case("404 with a web page", reply(404, HTML, content_type="text/html"), verdict=BLOCKED),
    case("405", reply(405, NO), verdict=BLOCKED),
    case("405 with a web page", reply(405, HTML, content_type="text/html"), verdict=BLOCKED),
    case("407", reply(407, NO), verdict=BLOCKED),
    case("408", reply(408, NO), verdict=SERVER_ERROR),
    case("409", reply(409, NO), verdict=BLOCKED),
    case("410", reply(410, NO), verdict=BLOCKED),
    case("413", reply(413, NO), verdict=TOO_BIG),
    case("413 with a web page", reply(413, HTML, content_type="text/html"), verdict=SERVER_ERROR),
    case("413 early, then closed", reply(413, NO), Pause(0.2), FIN, verdict=TOO_BIG, body=LARGE_BODY, reads=False),
    case("413 early, then reset", reply(413, NO), Pause(0.2), RST, verdict=TOO_BIG, body=LARGE_BODY, reads=False),
    case("415", reply(415, NO), verdict=BLOCKED),
    case("418", reply(418, NO), verdict=BLOCKED),
    case("422", reply(422, NO), verdict=REJECTED),
    case("422 with a web page", reply(422, HTML, content_type="text/html"), verdict=SERVER_ERROR),
    case("431", reply(431, HTML, content_type="text/html"), verdict=BLOCKED),
    case("429", reply(429, NO), verdict=THROTTLED),
    case("429 with seconds", reply(429, NO, "Retry-After: 7"), verdict=THROTTLED),
    case("429 with nonsense", reply(429, NO, "Retry-After: soon"), verdict=THROTTLED),
    case("429 with a web page", reply(429, HTML, content_type="text/html"), verdict=THROTTLED),
    *(
        case(f"{status}", reply(status, NO), verdict=SERVER_ERROR)
        for status in (500, 501, 502, 504, 507, 520, 599, 999)
    ),
    case("500 with nothing", reply(500), verdict=SERVER_ERROR),
    case("500 cut short", reply(500, NO)[:-9], FIN, verdict=UNKNOWN),
    case("502 with a web page", reply(502, HTML, content_type="text/html"), verdict=SERVER_ERROR),
    case("503", reply(503, NO), verdict=SERVER_ERROR),
    case("503 with seconds", reply(503, NO, "Retry-After: 7"), verdict=THROTTLED),
    case("503 with nonsense", reply(503, NO, "Retry-After: soon"), verdict=SERVER_ERROR),
]

MATRIX = [*SUCCESSES, *DOUBTFUL, *NO_SUCCESSES, *BROKEN, *SLOW, *ENDLESS, *REDIRECTS, *REFUSALS]
TRIED = [
    pytest.param(found, connection, id=f"{connection}-{found.name}".replace(" ", "_"))
    for found in MATRIX
    for connection in ("new", "kept")
]


@pytest.mark.parametrize(("found", "connection"), TRIED)
def test_every_answer_has_one_verdict(make_client, found, connection):
    """Each answer has its exact verdict, in time, in bounded memory, after one request, and without showing the key.

    Over a kept connection, which is spoken over directly, it is that of a new one. A request whose answer is unknown or
    a 5xx, or is not Bucket's, counts as ambiguous: it may have been applied. No other does.
    """
    kept = connection == "kept"
    with scripted(script_of(found, kept=kept)) as server:
        client = make_client(server.url, timeout_s=found.timeout_s)
        if kept:
            assert client.post(BODY).verdict is DELIVERED
            assert client.is_open
        began = time.monotonic()
        outcome = client.post(found.body)
        took_s = time.monotonic() - began
        sent_bytes = sum(peer.sent_bytes for peer in server.peers)
        requests = len(server.received) if found.reads else 1

    assert outcome.verdict is found.verdict
    status_5xx = outcome.status is not None and outcome.status >= 500
    assert outcome.ambiguous is (outcome.verdict in {UNKNOWN, SERVER_ERROR, MISROUTED} or status_5xx)
    assert took_s < found.timeout_s + SLACK_S
    assert sent_bytes < ANSWER_BYTES_MAX + 16 * 1024 * 1024 or "100 for ever" in found.name
    assert (requests, len(server.peers)) == (1, 1)
    assert KEY not in repr(outcome)


@pytest.mark.parametrize("found", DOUBTFUL, ids=lambda found: found.name.replace(" ", "_"))
def test_what_is_doubtful_ends_the_connection(make_client, found):
    """Where the next answer begins is not certain then, so the next request goes over a connection of its own."""
    with scripted(script_of(found)) as server:
        client = make_client(server.url)
        verdicts = [client.post(BODY).verdict for _ in range(2)]

    assert verdicts == [found.verdict] * 2
    assert [received.connection for received in server.received] == [0, 1]


@pytest.mark.parametrize(
    "found", [found for found in SUCCESSES if FIN not in found.steps], ids=lambda found: found.name
)
def test_what_is_legal_keeps_the_connection(make_client, found):
    """A server that answers as it may is asked again over the same connection."""
    with scripted(script_of(found)) as server:
        client = make_client(server.url)
        for _ in range(2):
            client.post(BODY)

    assert len(server.peers) == 1


def test_the_matrix_is_large_and_each_case_has_a_name():
    """No two cases share a name, and every verdict occurs but those of unsent requests and of emulators."""
    names = [found.name for found in MATRIX]

    assert len(set(names)) == len(names) >= 60
    assert {found.verdict for found in MATRIX} | {NOT_SENT, Verdict.REPLACED} == set(Verdict)


@pytest.mark.parametrize(("name", "meant", "verdict", "emulator"), [
    ("0123456789abcdef", Meant(), Verdict.REPLACED, "0123456789abcdef"),
    ("0123456789abcdef", None, BLOCKED, None),  # not on this machine
    ("1, 2", Meant(), BLOCKED, None),
    ("0123456789ABCDEF0", Meant(), BLOCKED, None),
])  # fmt: skip
def test_an_emulator_is_believed_on_this_machine_alone(make_client, name, meant, verdict, emulator):
    """412 with a name says that another emulator was meant; without a way that leads to one it is any other 4xx."""
    answer = reply(412, b"{}", f"Bucket-Emulator: {name}")
    with scripted(lambda peer: (peer.read(), peer.send(answer))) as server:
        outcome = make_client(server.url, meant=meant).post(BODY)

    assert (outcome.verdict, outcome.emulator) == (verdict, emulator)


def test_details_are_what_a_dead_letter_can_hold(make_client):
    """Lone surrogates, endless numbers and depths in a refusal are tamed, and a key that it repeats is masked."""
    key, deep = KEY.encode(), b"[" * 50 + b"1" + b"]" * 50
    error = b'{"code":"X","message":"' + key + b' \\ud83d"}'
    body = b'{"success":false,"error":' + error + b',"n":' + b"9" * 30 + b',"' + key + b'":' + deep + b"}"
    with scripted(lambda peer: (peer.read(), peer.send(reply(400, body)))) as server:
        outcome = make_client(server.url).post(BODY)

    assert outcome.verdict is REJECTED
    assert outcome.message == "X"
    assert outcome.details is not None
    assert outcome.details["n"] == "9" * 30
    assert KEY not in json.dumps(outcome.details)
    assert json.dumps(outcome.details["[key]"]).count("[") == 19
    json.dumps(outcome.details, ensure_ascii=False).encode()


@pytest.mark.parametrize("status", [400, 401, 413, 429, 500])
def test_messages_are_codes(make_client, status):
    """What the server says, which may quote a row, is in no message; a code is one only when it looks like one."""
    error = {"code": "a\r\nERROR forged\x1b[2J", "message": "the row says 'canary'"}
    body = json.dumps({"success": False, "error": error}).encode()
    with scripted(lambda peer: (peer.read(), peer.send(reply(status, body)))) as server:
        outcome = make_client(server.url).post(BODY)

    assert outcome.message in {"", "the key was refused"}
