"""A socket to a host: names that are slow to look up, and addresses that swallow packets."""

import contextlib
import socket
import threading
import time

import pytest

from bucket_loader.delivery.http import addresses

SOON_S = 1.5


@pytest.fixture
def hole():
    """Return a port that swallows what would connect to it: its queue is full."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.settimeout(0)
            waiting.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


@pytest.fixture
def served():
    """Return a port that takes connections."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.fixture
def refused():
    """Return a port that refuses connections."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        yield unused.getsockname()[1]


@pytest.fixture
def resolve(monkeypatch):
    """Let names stand for local ports, after a while."""
    real, asked = socket.getaddrinfo, []

    def made(*ports, after_s=0.0):
        def looked_up(host, port, **options):
            if options.get("flags"):
                return real(host, port, **options)
            asked.append(host)
            time.sleep(after_s)
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", number)) for number in ports]

        monkeypatch.setattr(socket, "getaddrinfo", looked_up)
        return asked

    return made


def connect(within_s=10.0):
    """Connect to a name; return the port that took it, and how long it took."""
    began = time.monotonic()
    with addresses.connect("bucket.test", 80, began + within_s) as found:
        return found.getpeername()[1], time.monotonic() - began


def test_an_address_that_swallows_packets_costs_a_quarter_of_a_second(resolve, hole, served):
    """The next address is tried beside it, and wins."""
    resolve(hole, hole, served)
    port, took_s = connect()

    assert port == served
    assert 2 * addresses.BESIDE_S <= took_s < SOON_S


def test_an_address_that_refuses_costs_nothing(resolve, refused, served):
    """The next one is tried at once."""
    resolve(refused, refused, refused, served)
    port, took_s = connect()

    assert port == served
    assert took_s < addresses.BESIDE_S


def test_when_every_address_swallows_packets_it_ends_in_time(resolve, hole):
    """Nobody waits for longer than an attempt may take."""
    resolve(hole, hole)
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        connect(within_s=0.6)

    assert 0.6 <= time.monotonic() - began < SOON_S


def test_when_every_address_refuses_it_says_so(resolve, refused):
    """The error is the last address's."""
    resolve(refused, refused)
    with pytest.raises(OSError, match="refused"):
        connect()


def test_a_lookup_that_hangs_is_waited_for_in_time_and_asked_once(resolve, served):
    """The system's lookup cannot be ended; who asks again meanwhile waits for the same, and all get what it finds."""
    asked = resolve(served, after_s=1.0)
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        connect(within_s=0.2)
    took_s, ports = time.monotonic() - began, []
    threads = [threading.Thread(target=lambda: ports.append(connect()[0])) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert took_s < 0.8
    assert (ports, asked) == ([served] * 3, ["bucket.test"])


def test_families_take_turns():
    """One kind of address may lead nowhere, however many there are of it; the system's first stays first."""
    six, four = [(socket.AF_INET6, n) for n in range(3)], [(socket.AF_INET, n) for n in range(2)]

    assert addresses._in_turn([*six, *four]) == [six[0], four[0], six[1], four[1], six[2]]
    assert addresses._in_turn([*four, *six])[:2] == [four[0], six[0]]
    assert addresses._in_turn([]) == []
