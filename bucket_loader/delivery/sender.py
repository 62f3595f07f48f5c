"""One of several processes that send a run: the parts that it takes, its share of the rate, and what all of them hear.

A sender says every second that it lives. At the same time it hears how many others there are, and what one of them has
met that ends the run for all. It has no other way to them than the ledger.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Final

from bucket_loader.delivery.http.pacing import Pacer
from bucket_loader.model import (
    SYSTEM,
    BucketLoaderError,
    Clock,
    EmulatorGoneError,
    KeyRefusedError,
    MisroutedError,
    OtherPlaceError,
    StateError,
    SystemicRejectionError,
)
from bucket_loader.reporting import Note, Tell
from bucket_loader.state import Flag, Ledger, NewPart, Want

BEATS_EVERY_S: Final = 1.0
SOON_S: Final = 0.2  # while others still have the share of one who has a part
# What is true for all senders as soon as one has met it. An outage is not: another may reach the API.
_FOR_ALL: Final[dict[str, type[BucketLoaderError]]] = {
    one.__name__: one
    for one in (KeyRefusedError, MisroutedError, SystemicRejectionError, OtherPlaceError, EmulatorGoneError)
}


@dataclass
class Sender:
    """A sender of a run.

    Attributes:
        ledger: where the senders of the run meet.
        run: which run.
        name: this sender's.
        silent_s: who was not heard of for longer is given up: an attempt, and a lease.
        requests_per_second: how many requests all senders may make together, as this one was told; None where nothing
            limits them.
        stopped: set to drain.
        tell: told what a person may want to know.
        clock: time and threads.
    """

    ledger: Ledger
    run: str
    name: str
    silent_s: float
    requests_per_second: float | None
    stopped: threading.Event
    tell: Tell
    clock: Clock = SYSTEM
    _share: float = field(default=-1.0, init=False)  # none is known
    _has_part: bool = field(default=False, init=False)
    _least: float | None = field(default=None, init=False)

    def parts(self, pacer: Pacer) -> Iterator[NewPart]:
        """Take one part after another, for as long as any is left; each is over before the next is asked for.

        While others have all that is left, this waits: a sender that dies leaves its part.
        """
        while (part := self._next(pacer)) is not None:
            yield part
            if not self.ledger.end_part(self.run, self.name, part):
                raise AssertionError(f"part {part.number} of stream {part.stream} was gone through, and is not over")

    def _next(self, pacer: Pacer) -> NewPart | None:
        while not self.stopped.is_set():
            part = self.ledger.take_part(self.run, self.name, self._silent_ms)
            if self._has_part != (part is not None):
                self._has_part = part is not None
                self.beat(pacer)
            if part is not None or not self.ledger.parts_left(self.run):
                return part
            self.ledger.database.end_overdue()
            self.stopped.wait(BEATS_EVERY_S)
        return None

    @property
    def _silent_ms(self) -> int:
        return round(self.silent_s * 1_000)

    @contextmanager
    def working(self, pacer: Pacer) -> Iterator[None]:
        """Beat for as long as the `with` lasts; what ends it that is true for all senders is said to them.

        Raises:
            BucketLoaderError: another sender has met what ends the run for all.
        """
        ended = self.clock.threading.Event()
        self.beat(pacer)
        thread = self.clock.threading.Thread(target=lambda: self._beat(pacer, ended), name="sender", daemon=True)
        thread.start()
        try:
            yield
        except tuple(_FOR_ALL.values()) as error:
            self.ledger.raise_flag(self.run, self.name, Flag(type(error).__name__, error.message, error.hint))
            raise
        finally:
            ended.set()
            thread.join()
        if (flag := self.ledger.flag(self.run)) is not None:
            raise error_of(flag)

    def _beat(self, pacer: Pacer, ended: threading.Event) -> None:
        with suppress(StateError):  # a worker meets the same, and says so
            while not ended.wait(BEATS_EVERY_S if self._share or not self._has_part else SOON_S):
                self.beat(pacer)

    def beat(self, pacer: Pacer) -> None:
        """Say that this sender lives, keep its share of the rate, and hear what the others have met.

        A smaller share is kept before the others hear of it, and a larger one after they have let go of it: so all
        together never make more requests than they may. Who has no part has no share.
        """
        rate = self._rate_of_all()
        others = self.ledger.others_with_parts(self.run, self.name)
        fair = rate / (1 + others) if self._has_part else 0.0
        if rate and fair < self._share:
            self._pace(pacer, fair)
        found = self.ledger.beat(self.run, self.name, Want(fair, rate, self.requests_per_second), self._silent_ms)
        if rate and found != self._share:
            self._pace(pacer, found)
        if self.ledger.flag(self.run) is not None:
            self.stopped.set()

    def _rate_of_all(self) -> float:
        """Return how many requests a second all may make together, 0 for any: the least that one was told."""
        mine, least = self.requests_per_second, self.ledger.least_rate(self.run)
        rate = min(filter(None, (mine, least)), default=None)
        before, self._least = self._least or mine, rate
        if rate != before:
            here = "is not set here" if mine is None else f"is {mine:g} here"
            others = f"{rate:g} at another sender of the run"
            self.tell(Note(f"requests_per_second {here}, and {others}: all together keep to the least"))
        return rate or 0.0

    def _pace(self, pacer: Pacer, share: float) -> None:
        self._share = share
        pacer.pace(share)


def error_of(flag: Flag) -> BucketLoaderError:
    """Return what a sender has met that ends the run for all."""
    return _FOR_ALL[flag.kind](flag.message, hint=flag.hint)
