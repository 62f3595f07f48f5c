"""A socket to a host, within the time that an attempt has: its name is looked up, and its addresses are tried.

The system's lookup cannot be ended, so it has a thread of its own, which nobody waits for longer than there is time.
Addresses are tried side by side (RFC 8305): one that swallows packets costs a quarter of a second, not all the time.
"""

import contextlib
import os
import select
import socket
import threading
from collections.abc import Sequence
from itertools import chain, zip_longest
from typing import Any, Final, TypeAlias

from bucket_loader.model import now_s

BESIDE_S: Final = 0.25  # after which the next address is tried beside those that have not answered
_TOO_LATE: Final = "connecting takes too long"

Address: TypeAlias = tuple[int, int, int, str, Any]  # as `getaddrinfo` has it


def connect(host: str, port: int, deadline: float, options: Sequence[tuple[int, int, int]] = ()) -> socket.socket:
    """Return a socket that is connected to a host.

    Args:
        host: its name, or an address.
        port: its port.
        deadline: when it is too late, of the clock of `now_s`.
        options: of the socket.

    Raises:
        OSError: no address answers, or not in time.
    """
    race = _Race(_in_turn(_looked_up(host, port, deadline)), deadline)
    try:
        found = race.run()
    finally:
        race.close()
    for option in options:
        found.setsockopt(*option)
    return found


class _Race:
    """Several addresses, each begun a little after the one before; the first that is connected wins."""

    def __init__(self, addresses: list[Address], deadline: float) -> None:
        self._addresses = addresses
        self._deadline = deadline
        self._next_at = now_s()
        self._poll = select.poll()
        self._under_way: dict[int, socket.socket] = {}
        self._error: OSError = TimeoutError(_TOO_LATE)

    def run(self) -> socket.socket:
        while True:
            now = now_s()
            if now >= self._deadline:
                raise TimeoutError(_TOO_LATE)
            if self._addresses and (now >= self._next_at or not self._under_way):
                self._begin(self._addresses.pop(0), now)
                continue
            if not self._under_way:
                raise self._error
            until = min(self._deadline, self._next_at) if self._addresses else self._deadline
            for number, _ in self._poll.poll(max(until - now, 0) * 1_000):
                if (found := self._ended(number)) is not None:
                    return found

    def _begin(self, address: Address, now: float) -> None:
        family, kind, protocol, _, place = address
        try:
            made = socket.socket(family, kind, protocol)
        except OSError as error:  # none can be had, or not of this family
            self._failed(error)
            return
        made.settimeout(0)
        try:
            with contextlib.suppress(BlockingIOError):
                made.connect(place)
        except OSError as error:
            made.close()
            self._failed(error)
            return
        self._under_way[made.fileno()] = made
        self._poll.register(made, select.POLLOUT)
        self._next_at = now + BESIDE_S

    def _ended(self, number: int) -> socket.socket | None:
        made = self._under_way.pop(number)
        self._poll.unregister(number)
        if not (code := made.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)):
            return made
        made.close()
        self._failed(OSError(code, os.strerror(code)))
        return None

    def _failed(self, error: OSError) -> None:
        if not isinstance(self._error, ConnectionRefusedError):  # says more than that another family leads nowhere
            self._error = error
        self._next_at = now_s()

    def close(self) -> None:
        for made in self._under_way.values():
            made.close()


# --- names ----------------------------------------------------------------------------------------------------------


class _Lookup:
    """One name under way; all who ask for it meanwhile wait for the same."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._ended = threading.Event()
        self._found: list[Address] = []
        self._error: OSError | None = None

    def run(self) -> None:
        try:
            self._found = _asked(self._host, self._port)
        except OSError as error:
            self._error = error
        finally:
            self._ended.set()

    def start(self) -> None:
        try:
            threading.Thread(target=self.run, name=f"lookup {self._host}", daemon=True).start()
        except RuntimeError:  # no thread can be had
            self.run()

    def result(self, deadline: float) -> list[Address]:
        if not self._ended.wait(deadline - now_s()):
            raise TimeoutError("the lookup of the host takes too long")
        if self._error is not None:
            raise type(self._error)(*self._error.args)
        return self._found

    @property
    def has_ended(self) -> bool:
        return self._ended.is_set()


_lookups: Final[dict[tuple[int, str, int], _Lookup]] = {}  # by process, since threads do not live on in a fork
_lock: Final = threading.Lock()


def _looked_up(host: str, port: int, deadline: float) -> list[Address]:
    with contextlib.suppress(socket.gaierror):
        return _asked(host, port, socket.AI_NUMERICHOST)
    key = os.getpid(), host, port
    with _lock:
        lookup = _lookups.get(key)
        is_new = lookup is None or lookup.has_ended
        if lookup is None or is_new:
            lookup = _lookups[key] = _Lookup(host, port)
    if is_new:
        lookup.start()
    return lookup.result(deadline)


def _asked(host: str, port: int, flags: int = 0) -> list[Address]:
    try:
        return list(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags))
    except UnicodeError as error:
        raise OSError("the host's name is not one") from error


def _in_turn(addresses: list[Address]) -> list[Address]:
    """Return addresses with the families in turn, beginning as the system does: one kind may lead nowhere."""
    first, others = (
        [one for one in addresses if (one[0] == addresses[0][0]) is is_first] for is_first in (True, False)
    )
    return [address for address in chain.from_iterable(zip_longest(first, others)) if address is not None]
