"""How the sender connects: TLS, proxies, names, connections that are kept, and what it must not take for an answer."""

import contextlib
import select
import socket
import ssl
import threading
import time

import pytest
from scripted_server import (
    JSON,
    KEY,
    OK,
    REFUSED,
    SUCCESS,
    GoneError,
    Peer,
    Script,
    always,
    in_turn,
    reply,
    scripted,
    tls,
)
from urllib3.exceptions import SSLError

from bucket_loader.delivery.http import connection
from bucket_loader.delivery.http.unsent import unsent
from bucket_loader.model.outcomes import Verdict

BODY = b'[{"type":"user","userId":"1"}]'
SLACK_S = 3.0


# --- before anything is sent ---------------------------------------------------------------------------------------


def test_a_refused_port_is_not_sent(make_client):
    """Where nobody listens nothing was sent, and a retry is free."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        outcome = make_client(f"http://127.0.0.1:{unused.getsockname()[1]}").post(BODY)

    assert (outcome.verdict, outcome.status, outcome.ambiguous) == (Verdict.NOT_SENT, None, False)


@pytest.mark.parametrize("host", ["nobody.invalid", f"{'x' * 70}.invalid", "a..b"])
def test_a_name_that_does_not_resolve_is_not_sent(make_client, host):
    """A host that has no address was sent nothing."""
    outcome = make_client(f"http://{host}:9").post(BODY)

    assert (outcome.verdict, outcome.ambiguous) == (Verdict.NOT_SENT, False)


def test_an_untrusted_certificate_is_misrouted(make_client, certificates):
    """A certificate that nobody vouches for is not Bucket's: nothing is sent, and it is not tried again."""
    with scripted(always(OK), tls(certificates["ours"])) as server:
        outcome = make_client(server.url).post(BODY)

    assert (outcome.verdict, server.received, len(server.peers)) == (Verdict.MISROUTED, [], 1)
    assert outcome.message == "the issuer of the TLS certificate is not known here"
    assert "ca_bundle" in outcome.hint


def test_a_certificate_for_another_host_is_misrouted(make_client, certificates):
    """A certificate that is trusted, but for another host, is not Bucket's."""
    with scripted(always(OK), tls(certificates["other"])) as server:
        outcome = make_client(server.url, ca_bundle=str(certificates["other"])).post(BODY)

    assert (outcome.verdict, server.received) == (Verdict.MISROUTED, [])
    assert outcome.message == "the TLS certificate is not valid for this host"


@pytest.mark.parametrize(
    ("code", "says"),
    [(10, "has expired"), (9, "not valid yet"), (19, "issuer"), (20, "issuer"), (62, "this host"), (23, "not valid")],
)
def test_what_is_wrong_with_a_certificate_is_said(code, says):
    """The dates of a certificate are neither its issuer nor its host; OpenSSL tells them apart by a number."""
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_code = code
    outcome = unsent(SSLError(error), "SSLError")

    assert outcome.verdict is Verdict.MISROUTED
    assert says in outcome.message


def test_a_named_ca_bundle_is_trusted(make_client, certificates):
    """An explicit `ca_bundle` vouches for a certificate, and the connection is kept for the next request."""
    with scripted(always(OK), tls(certificates["ours"])) as server:
        client = make_client(server.url, ca_bundle=str(certificates["ours"]))
        verdicts = [client.post(BODY).verdict for _ in range(3)]

    assert verdicts == [Verdict.DELIVERED] * 3
    assert len(server.peers) == 1


def test_plain_http_behind_https_is_misrouted(make_client):
    """A server that does not speak TLS at all is not Bucket's."""
    with scripted(lambda peer: peer.send(reply(400))) as server:
        outcome = make_client(server.url.replace("http:", "https:")).post(BODY)

    assert outcome.verdict is Verdict.MISROUTED
    assert "no TLS connection" in outcome.message


@pytest.mark.parametrize("ending", ["fin", "rst"])
def test_a_handshake_that_is_cut_is_not_sent(make_client, ending):
    """A load balancer that goes away in the middle of a handshake is an outage, not a bad certificate."""

    def script(peer: Peer) -> None:
        peer.socket.recv(10)
        getattr(peer, ending)()

    with scripted(script) as server:
        outcome = make_client(server.url.replace("http:", "https:")).post(BODY)

    assert outcome.verdict is Verdict.NOT_SENT


@pytest.mark.parametrize("answer", [b"", b"\x16"])
def test_a_handshake_that_hangs_is_not_sent_and_ends_in_time(make_client, answer):
    """A handshake that stops, or drips, ends with the attempt's deadline."""

    def script(peer: Peer) -> None:
        while True:
            peer.send(answer)
            peer.pause(0.2)

    with scripted(script) as server:
        began = time.monotonic()
        outcome = make_client(server.url.replace("http:", "https:"), timeout_s=1.0).post(BODY)

    assert outcome.verdict in {Verdict.NOT_SENT, Verdict.MISROUTED}
    assert time.monotonic() - began < 1 + SLACK_S


@pytest.mark.parametrize("ending", ["fin", "rst", "alert"])
def test_tls_that_breaks_after_the_request_is_unknown(make_client, certificates, ending):
    """A TLS connection that breaks once the request is out is an unknown, whatever TLS says of it."""

    def script(peer: Peer) -> None:
        peer.read()
        if ending == "alert":
            raw = socket.socket(fileno=socket.dup(peer.socket.fileno()))
            raw.sendall(b"\x17\x03\x03\x00\x20" + b"x" * 32)  # a record that no key made
            raw.close()
            peer.pause(60)
        getattr(peer, "rst" if ending == "rst" else "fin")()

    with scripted(script, tls(certificates["ours"])) as server:
        outcome = make_client(server.url, timeout_s=3.0, ca_bundle=str(certificates["ours"])).post(BODY)

    assert (outcome.verdict, outcome.ambiguous, len(server.received)) == (Verdict.UNKNOWN, True, 1)


# --- proxies and the environment -----------------------------------------------------------------------------------


def test_an_explicit_proxy_is_used_and_kept(make_client):
    """What goes over a named proxy reaches it, and it alone; so does what follows over the same connection."""
    with scripted(always(OK)) as server:
        client = make_client("http://bucket.invalid", proxy=server.url.replace("//", "//me:there@"))
        verdicts = [client.post(body).verdict for body in (BODY, b"[]")]

    heads = [(sent.head.split(b"\r\n")[0], sent.headers["proxy-authorization"]) for sent in server.received]
    assert verdicts == [Verdict.DELIVERED] * 2
    assert heads == [(b"POST http://bucket.invalid/bulk HTTP/1.1", "Basic bWU6dGhlcmU=")] * 2
    assert [sent.body for sent in server.received] == [BODY, b"[]"]
    assert len(server.peers) == 1


def test_a_tunnel_is_opened_once_and_kept(make_client, certificates):
    """Over TLS a proxy only passes on what it cannot read; the tunnel's own head is not sent again."""

    def relay(peer: Peer) -> None:
        host, _, port = peer.read_head().split()[1].decode().rpartition(":")
        with socket.create_connection((host, int(port))) as beyond:
            peer.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
            ways = {peer.socket: beyond, beyond: peer.socket}
            while True:
                for side in select.select(ways, [], [], 0.1)[0]:
                    data = side.recv(65_536)
                    if not data:
                        raise GoneError
                    ways[side].sendall(data)
                peer.pause(0)

    ours = certificates["ours"]
    with scripted(always(OK), tls(ours)) as server, scripted(relay) as proxy:
        client = make_client(server.url, proxy=proxy.url, ca_bundle=str(ours))
        verdicts = [client.post(body).verdict for body in (BODY, b"[]")]

    assert verdicts == [Verdict.DELIVERED] * 2
    assert [sent.head.split(b"\r\n")[0] for sent in server.received] == [b"POST /bulk HTTP/1.1"] * 2
    assert [sent.body for sent in server.received] == [BODY, b"[]"]
    assert (len(server.peers), len(proxy.peers)) == (1, 1)


@pytest.mark.parametrize(("status", "verdict"), [(403, "not_sent"), (407, "misrouted"), (502, "not_sent")])
def test_a_proxy_that_refuses_the_tunnel_was_sent_nothing(make_client, status, verdict):
    """CONNECT is no request of ours: nothing was sent, the key stayed here, and the message names the proxy."""
    with scripted(always(reply(status, b"no"))) as server:
        outcome = make_client("https://bucket.invalid", proxy=server.url).post(BODY)

    assert (outcome.verdict, outcome.ambiguous) == (verdict, False)
    assert "the proxy" in outcome.message
    assert f"({status})" in outcome.message
    assert all(KEY.encode() not in received.head for received in server.received)


def test_a_proxy_that_wants_a_password_is_not_waited_for(make_client):
    """A 407 is of the way there: nothing was passed on, and waiting changes nothing."""
    with scripted(always(reply(407, b"no"))) as server:
        outcome = make_client("http://bucket.invalid", proxy=server.url).post(BODY)

    assert (outcome.verdict, outcome.ambiguous) == (Verdict.MISROUTED, False)
    assert "the proxy asks for a user and a password" in outcome.message
    assert "destination: proxy" in outcome.hint


def test_a_proxy_that_is_away_was_sent_nothing(make_client):
    """A proxy that refuses connections is waited for like an API that does."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        proxy = f"http://127.0.0.1:{unused.getsockname()[1]}"
        outcome = make_client("https://bucket.invalid", proxy=proxy).post(BODY)

    assert outcome.verdict is Verdict.NOT_SENT


@pytest.mark.long
def test_a_proxy_that_connects_too_late_is_sent_nothing(make_client):
    """The way through a proxy is a part of the attempt's time: over a tunnel that comes late nothing is sent."""
    after = []

    def script(peer: Peer) -> None:
        peer.read_head()
        peer.drip(b"HTTP/1.1 200 Connected\r\n\r\n", 0.1)  # never silent for as long as the time
        after.append(peer.socket.recv(100))

    with scripted(script) as proxy:
        began = time.monotonic()
        outcome = make_client("https://bucket.invalid", proxy=proxy.url, timeout_s=1.0).post(BODY)
        took_s = time.monotonic() - began
        time.sleep(1.5)

    assert (outcome.verdict, "longer than `timeout`" in outcome.message) == (Verdict.NOT_SENT, True)
    assert took_s < 1.5
    assert after in ([], [b""])


def test_a_handshake_that_ends_too_late_is_sent_nothing(make_client, certificates):
    """TLS is a part of the attempt's time: a server that is slow to begin gets no request after it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"https://127.0.0.1:{listener.getsockname()[1]}"
        outcome = make_client(url, ca_bundle=str(certificates["ours"]), timeout_s=0.5).post(BODY)
        late, _ = listener.accept()
        with late, pytest.raises(OSError, match=r"."), tls(certificates["ours"]).wrap_socket(late, server_side=True):
            pass

    assert (outcome.verdict, outcome.ambiguous) == (Verdict.NOT_SENT, False)


def test_a_connection_that_comes_too_late_is_sent_nothing(make_client, monkeypatch):
    """A machine that sleeps while it connects does not send what its server would take for new."""
    real = connection.connect

    def slow(*arguments):
        made = real(*arguments)
        time.sleep(0.5)
        return made

    monkeypatch.setattr(connection, "connect", slow)
    with scripted(always(OK)) as server:
        outcome = make_client(server.url, timeout_s=0.3).post(BODY)

    assert (outcome.verdict, server.received) == (Verdict.NOT_SENT, [])


def test_the_environment_is_not_used(make_client, monkeypatch, tmp_path, certificates):
    """Proxies, certificate bundles and netrc of the environment change nothing."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\ndefault login somebody password else\n")
    netrc.chmod(0o600)
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.setenv(name, str(certificates["ours"]))
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)

    with scripted(always(OK)) as server:
        outcome = make_client(server.url).post(BODY)
    assert outcome.verdict is Verdict.DELIVERED
    assert server.received[0].headers["authorization"] == f"Bearer {KEY}"

    monkeypatch.delenv("SSL_CERT_FILE")  # OpenSSL's own, a choice of the machine's owner
    with scripted(always(OK), tls(certificates["ours"])) as server:
        assert make_client(server.url).post(BODY).verdict is Verdict.MISROUTED


# --- connections that are kept -------------------------------------------------------------------------------------


def test_requests_share_a_connection_and_are_the_same_bytes(make_client):
    """The same body makes the same request, byte by byte, over one connection."""
    with scripted(always(OK)) as server:
        client = make_client(server.url)
        for _ in range(3):
            client.post(BODY)
        make_client(server.url).post(BODY)

    assert [received.connection for received in server.received] == [0, 0, 0, 1]
    assert len({received.head for received in server.received}) == 1
    assert {received.body for received in server.received} == {BODY}
    assert server.received[0].headers == {
        "host": f"127.0.0.1:{server.port}", "authorization": f"Bearer {KEY}", "content-type": JSON, "accept": JSON,
        "accept-encoding": "identity", "user-agent": "bucket-loader", "content-length": str(len(BODY)),
    }  # fmt: skip


def test_cookies_do_not_come_back_changed_bytes(make_client):
    """A cookie that an answer sets does not change the requests after it."""
    with scripted(always(reply(200, SUCCESS, "Set-Cookie: lb=one; Path=/"))) as server:
        client = make_client(server.url)
        for _ in range(2):
            client.post(BODY)

    assert len({received.head for received in server.received}) == 1


@pytest.mark.parametrize("ending", ["fin", "rst"])
def test_a_kept_connection_that_was_closed_is_opened_again(make_client, ending):
    """A server that closes an idle connection costs nothing: the next request goes over a new one, once."""

    def script(peer: Peer) -> None:
        peer.read()
        peer.send(OK)
        getattr(peer, ending)()

    with scripted(script) as server:
        client = make_client(server.url)
        verdicts = []
        for _ in range(5):
            verdicts.append(client.post(BODY).verdict)
            time.sleep(0.1)

    assert verdicts == [Verdict.DELIVERED] * 5
    assert len(server.received) == 5


def surplus(extra: bytes, pause_s: float) -> Script:
    """Make a script that sends more than one answer to its first request, and refuses all others."""

    def script(peer: Peer) -> None:
        if peer.number == 0:
            peer.read()
            peer.send(OK)
            peer.pause(pause_s)
            peer.send(extra)
        while True:
            peer.read()
            peer.send(REFUSED)

    return script


@pytest.mark.parametrize("extra", [OK, OK[:30], b"\r\n", b"x"], ids=["whole", "half", "line", "byte"])
@pytest.mark.parametrize("pause_s", [0.0, 0.1], ids=["at_once", "later"])
def test_surplus_bytes_are_not_the_next_answer(make_client, extra, pause_s):
    """What comes after an answer, before the next request, is not taken for the next answer."""
    with scripted(surplus(extra, pause_s)) as server:
        client = make_client(server.url)
        first = client.post(BODY).verdict
        time.sleep(pause_s + 0.2)
        second = client.post(BODY + b" ").verdict

    assert first is Verdict.DELIVERED
    assert second in {Verdict.UNKNOWN, Verdict.REJECTED}


@pytest.mark.parametrize("status", [102, 103, 199])
@pytest.mark.parametrize("pause_s", [0.0, 0.3], ids=["at_once", "later"])
def test_what_comes_before_the_answer_is_not_the_answer(make_client, status, pause_s):
    """A server may say first that an answer will come: the one that follows is this request's, and nobody else's."""

    def script(peer: Peer) -> None:
        for answer in (OK, REFUSED):
            peer.read()
            peer.send(b"HTTP/1.1 %d Soon\r\n\r\n" % status)
            peer.pause(pause_s)
            peer.send(answer)

    with scripted(script) as server:
        client = make_client(server.url)
        verdicts = [client.post(BODY).verdict for _ in range(2)]

    assert verdicts == [Verdict.DELIVERED, Verdict.REJECTED]
    assert len(server.peers) == 1


@pytest.mark.parametrize("status", [101, 204])
@pytest.mark.parametrize("pause_s", [0.0, 0.3], ids=["at_once", "later"])
def test_an_answer_after_an_odd_one_is_not_the_next_answer(make_client, status, pause_s):
    """After an answer that may be followed by the real one the connection is closed: answers cannot fall behind."""

    def script(peer: Peer) -> None:
        peer.read()
        peer.send(b"HTTP/1.1 %d Odd\r\n\r\n" % status)
        if peer.number == 0:
            peer.pause(pause_s)
            peer.send(OK)
        while True:
            peer.read()
            peer.pause(0.5)
            peer.send(REFUSED)

    with scripted(script) as server:
        client = make_client(server.url)
        verdicts = [client.post(BODY + b" " * place).verdict for place in range(3)]

    assert Verdict.DELIVERED not in verdicts


@pytest.mark.long
def test_a_late_answer_is_not_the_next_answer(make_client):
    """An answer that comes after the attempt's end goes to nobody."""

    def script(peer: Peer) -> None:
        peer.read()
        peer.pause(1.5)
        peer.send(OK if peer.number == 0 else REFUSED)
        peer.read()
        peer.send(REFUSED)

    with scripted(script) as server:
        client = make_client(server.url, timeout_s=1.0)
        first = client.post(BODY)
        time.sleep(1.0)
        second = client.post(BODY + b" ")

    assert first.verdict is Verdict.UNKNOWN
    assert second.verdict is not Verdict.DELIVERED


def test_a_large_body_arrives_whole(make_client):
    """Every byte of a large body arrives, and its answer counts once all of it was written."""
    body = b'["' + bytes(range(33, 127)).replace(b'"', b"").replace(b"\\", b"") * 100_000 + b'"]'
    with scripted(always(OK)) as server:
        outcome = make_client(server.url).post(body)

    assert outcome.verdict is Verdict.DELIVERED
    assert server.received[0].body == body


def test_a_read_keeps_the_answer(make_client):
    """`get` gives the outcome and the body, and posts go on over the same connection."""
    with scripted(in_turn(reply(200, b'{"success":true,"features":[]}'), OK)) as server:
        client = make_client(server.url)
        outcome, body = client.get(f"{server.url}/features")
        posted = client.post(BODY)

    assert (outcome.verdict, body) == (Verdict.DELIVERED, b'{"success":true,"features":[]}')
    assert (posted.verdict, len(server.peers)) == (Verdict.DELIVERED, 1)


@pytest.mark.parametrize("when", ["while it is sent", "while it is answered"])
def test_a_machine_that_sleeps_sends_nothing_after_its_deadline(make_client, monkeypatch, when):
    """The time of an attempt goes on while the machine sleeps; what is left of the body is looked at piece by piece."""
    slept, body, clock_gettime = threading.Event(), b"x" * 30_000_000, time.clock_gettime
    monkeypatch.setattr(time, "clock_gettime", lambda which: clock_gettime(which) + 3_600 * slept.is_set())
    arrived: list[int] = []

    def script(peer: Peer) -> None:
        peer.read_head()
        while when == "while it is answered" and len(peer._buffer) < len(body):
            peer._more()
        slept.set()
        with contextlib.suppress(GoneError):
            while True:
                peer._more()
                arrived[:] = [len(peer._buffer)]

    with scripted(script) as server:
        began = time.monotonic()
        outcome = make_client(server.url, timeout_s=30.0).post(body)
        took_s = time.monotonic() - began

    assert outcome.verdict is Verdict.UNKNOWN
    assert took_s < 30 / 2
    assert when == "while it is answered" or sum(arrived) < len(body)
