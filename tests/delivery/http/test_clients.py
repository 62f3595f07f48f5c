"""Several requests in flight from one thread: each answer stays with its own request."""

import select
import threading
import time
from types import SimpleNamespace

import pytest
from scripted_server import OK, REFUSED, SUCCESS, Peer, reply, scripted, tls

from bucket_loader.delivery.http.client import answered
from bucket_loader.delivery.transport import Pool
from bucket_loader.model.clock import SYSTEM
from bucket_loader.model.outcomes import Verdict

BODY = b'[{"type":"user","userId":"1"}]'


@pytest.fixture
def make_clients(make_client):
    """Make clients that are lent and given back."""
    return lambda server: Pool(SimpleNamespace(connection=lambda _: make_client(server.url)), "", SYSTEM)


def after_one(then):
    """Make a script that serves one request, reads another, and goes on."""

    def script(peer: Peer) -> None:
        peer.read()
        peer.send(OK)
        peer.read()
        then(peer)

    return script


def opened(clients, count):
    """Take so many clients, each with a connection that has served a request."""
    taken = [clients.take_closed() for _ in range(count)]
    assert {client.post(BODY).verdict for client in taken} == {Verdict.DELIVERED}
    return taken


def test_the_first_to_be_answered_is_given_first(make_clients):
    """Whoever waits for several gets those whose answer has come, in whatever order they were sent."""
    may_answer = [threading.Event(), threading.Event()]

    def then(peer: Peer) -> None:
        may_answer[peer.number].wait(10)
        peer.send(OK if peer.number else REFUSED)

    with scripted(after_one(then)) as server:
        slow, quick = opened(make_clients(server), 2)
        for client in (slow, quick):
            client.begin(BODY)
        none = answered([slow, quick], 0)
        may_answer[1].set()
        first = answered([slow, quick], None)
        verdicts = [quick.end().verdict]
        may_answer[0].set()
        verdicts.append(slow.end().verdict)

    assert (none, first) == ([], [quick])
    assert verdicts == [Verdict.DELIVERED, Verdict.REJECTED]


def test_what_is_known_at_once_is_not_waited_for(make_clients):
    """A request that could not be sent is given before those that still wait for an answer."""

    def then(peer: Peer) -> None:
        peer.pause(10)

    with scripted(after_one(then)) as server:
        (waits,) = opened(make_clients(server), 1)
        waits.begin(BODY)
        with scripted(after_one(then)) as other:
            (closed,) = opened(make_clients(other), 1)
        closed.begin(BODY)  # its server is gone

        assert answered([waits, closed], None) == [closed]
        assert closed.end().verdict is Verdict.NOT_SENT


def test_an_answer_that_nobody_waited_for_is_not_the_next_ones(make_clients):
    """A client that was left with a request under way begins the next one over another connection."""

    def then(peer: Peer) -> None:
        if peer.number == 0:
            peer.pause(0.2)
        peer.send(OK if peer.number == 0 else REFUSED)

    with scripted(after_one(then)) as server:
        (client,) = opened(make_clients(server), 1)
        client.begin(BODY)
        assert not client.is_open
        client.begin(BODY)
        first = client.end().verdict  # the new connection's first is OK
        client.begin(BODY)
        second = client.end().verdict

    assert (first, second) == (Verdict.DELIVERED, Verdict.REJECTED)
    assert len(server.peers) == 2


def test_a_late_answer_that_is_whole_is_an_answer(make_client):
    """One that had come before its time was over, and was read after it, is not unknown: that would send it twice."""

    def then(peer: Peer) -> None:
        peer.send(REFUSED)
        peer.pause(10)

    with scripted(after_one(then)) as server:
        client = make_client(server.url, timeout_s=0.3)
        client.post(BODY)
        client.begin(BODY)
        time.sleep(0.6)  # the thread was busy with others

        assert client.end().verdict is Verdict.REJECTED
        assert client.post(BODY).verdict is Verdict.DELIVERED  # over another connection: the watchdog ended that one


def test_half_an_answer_keeps_nobody_waiting(make_clients):
    """While the rest of one answer is awaited another is given, and none is given before it is whole."""
    rest = threading.Event()

    def then(peer: Peer) -> None:
        if peer.number == 0:
            peer.send(REFUSED[:40])
            rest.wait(10)
        peer.send(REFUSED[40:] if peer.number == 0 else OK)

    with scripted(after_one(then)) as server:
        half, whole = opened(make_clients(server), 2)
        half.begin(BODY)
        assert select.select([half.socket], [], [], 5)[0]  # half of it is there
        whole.begin(BODY)
        first = answered([half, whole], None)
        began = time.monotonic()
        none = answered([half], 0.2)
        took_s = time.monotonic() - began
        rest.set()
        verdicts = [whole.end().verdict, half.end().verdict]

    assert (first, none) == ([whole], [])
    assert took_s < 2
    assert verdicts == [Verdict.DELIVERED, Verdict.REJECTED]


@pytest.mark.parametrize("sent", [0, 40], ids=["one_record", "two_records"])
def test_under_tls_too_a_late_answer_that_is_whole_is_an_answer(make_client, certificates, sent):
    """The watchdog ends a connection beneath TLS: what has come is still read."""

    def then(peer: Peer) -> None:
        peer.send(REFUSED[:sent])
        peer.send(REFUSED[sent:])
        peer.pause(10)

    with scripted(after_one(then), tls(certificates["ours"])) as server:
        client = make_client(server.url, timeout_s=0.4, ca_bundle=str(certificates["ours"]))
        client.post(BODY)
        client.begin(BODY)
        time.sleep(0.8)

        assert client.end().verdict is Verdict.REJECTED


def test_a_surplus_that_tls_has_read_already_is_nobodys_answer(make_client, certificates):
    """The system does not know of it; the next request goes over another connection."""
    large = reply(200, SUCCESS + b" " * (8192 - len(reply(200, SUCCESS)) - 2))

    def script(peer: Peer) -> None:
        peer.read()
        peer.send((large if peer.number == 0 else REFUSED) + OK)
        peer.pause(10)

    with scripted(script, tls(certificates["ours"])) as server:
        client = make_client(server.url, ca_bundle=str(certificates["ours"]))
        verdicts = [client.post(BODY).verdict for _ in range(2)]

    assert verdicts == [Verdict.DELIVERED, Verdict.REJECTED]


def test_a_connection_that_the_server_closed_is_not_lent_as_open(make_clients):
    """Who has answers to read would have to wait for another."""

    def script(peer: Peer) -> None:
        peer.read()
        peer.send(OK)
        peer.fin()

    with scripted(script) as server:
        clients = make_clients(server)
        (client,) = opened(clients, 1)
        clients.give_back(client)
        time.sleep(0.2)

        assert clients.take_opened() is None
        assert clients.capacity == 0


def test_open_connections_are_lent_first_and_counted(make_clients):
    """A client is lent to one at a time; the open ones before the others; those that are missing are made."""
    with scripted(lambda peer: (peer.read(), peer.send(OK), peer.pause(10))) as server:
        clients = make_clients(server)
        first, second = opened(clients, 2)
        third = clients.take_closed()
        before = clients.opened, clients.capacity
        for client in (third, first, second):
            clients.give_back(client)

        assert before == (0, 3)
        assert (clients.opened, clients.capacity) == (2, 2)
        assert {clients.take_opened(), clients.take_opened()} == {first, second}
        assert clients.take_opened() is None
        assert clients.take() is third
