"""One message to a webhook, whatever the host makes of it: over real sockets."""

import json
import time
import tracemalloc

import pytest
from scripted_server import always, reply, scripted, tls, until_closed

from bucket_loader.config import Destination, Notify
from bucket_loader.delivery.http.webhook import post_to_webhook

PATH = "/services/T00/B00/secret-of-the-path?sig=a%20b&c=/d"
BODY = json.dumps({"text": "it works again"}).encode()
TIMEOUT_S = 0.6


def posted(url, **words):
    """Post the message there; gives what was wrong."""
    way = Destination(key="sec_test_0123456789abcdef0123", **words)
    return post_to_webhook(Notify(webhook=url + PATH), BODY, way, TIMEOUT_S)


def test_the_address_is_asked_for_as_it_is_and_without_a_key():
    """The path and the query arrive byte for byte; nothing of the destination's key goes with them."""
    with scripted(always(reply(200, b"ok", content_type="text/html"))) as server:
        assert posted(server.url) is None

    (sent,) = server.received
    assert sent.head.split(b"\r\n")[0] == f"POST {PATH} HTTP/1.1".encode()
    assert sent.headers["content-type"] == "application/json"
    assert "authorization" not in sent.headers
    assert sent.body == BODY


@pytest.mark.parametrize(
    ("status", "why"),
    [(201, None), (204, None), (302, "redirects"), (307, "redirects"), (404, "404"), (429, "429"), (500, "500")],
)
def test_a_status_decides_and_no_redirect_is_followed(status, why):
    """2xx is taken; a redirect, which would show the message to another host, is refused as the rest."""
    with (
        scripted(always(reply(200))) as other,
        scripted(always(reply(status, b"", f"Location: {other.url}"))) as server,
    ):
        found = posted(server.url)

    assert other.received == []
    assert (found is None) if why is None else (why in found)


def dripping(peer):
    """Answer with 200, and then with a byte now and then."""
    peer.read()
    peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n")
    peer.drip(b"o" * 5000, 0.05)


def endless(peer):
    """Answer with 200 and no end."""
    peer.read()
    peer.send(until_closed(b""))
    peer.flood(b"o" * 65_536)


@pytest.mark.parametrize("script", [dripping, endless])
def test_a_message_that_is_taken_is_not_told_again_for_an_answer_without_end(script):
    """The status has said it; no more is read than fits, and for no longer than an attempt takes."""
    tracemalloc.start()
    began = time.monotonic()
    with scripted(script) as server:
        assert posted(server.url) is None
    took, (_, peak) = time.monotonic() - began, tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert took < 2 * TIMEOUT_S + 1
    assert peak < 16 * 1024 * 1024


def mute(peer):
    """Read the request, and say nothing."""
    peer.read()
    peer.pause(30)


def slow_head(peer):
    """Send the head of an answer a byte at a time."""
    peer.read()
    peer.drip(b"HTTP/1.1 200 OK\r\n" + b"X-Slow: 1\r\n" * 500, 0.05)


def unread(peer):
    """Accept a connection, and never read."""
    peer.pause(30)


@pytest.mark.parametrize("script", [mute, slow_head, unread])
def test_a_host_that_is_slow_is_waited_for_no_longer_than_an_attempt_takes(script):
    """The whole attempt has an end, however the host drips."""
    began = time.monotonic()
    with scripted(script) as server:
        found = posted(server.url)
        took = time.monotonic() - began

    assert found == "it takes too long"
    assert took < TIMEOUT_S + 1


def closing(peer):
    """Read the request, and hang up."""
    peer.read()
    peer.rst()


def babbling(peer):
    """Answer with what is no HTTP."""
    peer.read()
    peer.send(b"\x00\xff" * 500)
    peer.fin()


@pytest.mark.parametrize("script", [closing, babbling])
def test_what_is_no_answer_is_told_by_its_kind(script):
    """Nothing that the host has said stands in the reason, nor the address."""
    with scripted(script) as server:
        found = posted(server.url)

    assert found.startswith("no answer could be read (")
    assert "secret" not in found


def test_a_host_that_is_not_there_is_told_without_its_path():
    """A port that nobody listens on, and a name that nobody has."""
    assert posted("http://127.0.0.1:1") == "it cannot be reached (ConnectionRefusedError)"
    assert posted("https://nobody.invalid").startswith("it cannot be reached (")


def test_the_way_is_that_of_the_destination(certificates):
    """Its certificates are believed, and no others; and its proxy is used."""
    ours = certificates["ours"]
    with scripted(always(reply(200)), tls(ours)) as server:
        assert posted(server.url, ca_bundle=ours) is None
        assert posted(server.url) == "it cannot be reached (SSLError)"
    assert len(server.received) == 1

    with scripted(always(reply(200))) as proxy:
        assert posted("http://127.0.0.1:1", proxy=proxy.url) is None
    assert proxy.received[0].head.split(b"\r\n")[0] == f"POST http://127.0.0.1:1{PATH} HTTP/1.1".encode()


@pytest.mark.parametrize(
    "address", ["https://h.example", "https://h.example/", "https://h.example?a=b", "https://h.example//x"]
)
def test_an_address_of_any_form_is_asked_for_as_it_is(address):
    """Without a path, with a query alone, with two slashes."""
    with scripted(always(reply(200))) as proxy:
        url = address.replace("https://h.example", proxy.url)
        way = Destination(key="sec_test_0123456789abcdef0123")
        assert post_to_webhook(Notify(webhook=url), BODY, way, TIMEOUT_S) is None

    target = proxy.received[0].head.split(b" ")[1].decode()
    assert target == {"": "/", "/": "/", "?a=b": "/?a=b", "//x": "//x"}[address.removeprefix("https://h.example")]
