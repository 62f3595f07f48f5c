"""How far a delivery is: a thread looks at what the delivery counts, and tells the listener now and then."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final, Protocol

from bucket_loader.model import Wait, now_s
from bucket_loader.reporting.events import (
    DeliveryBegan,
    DeliveryEnded,
    DeliveryProgress,
    Listener,
    StreamDelivered,
    WaitEnded,
    Waits,
)

LOOK_S: Final = 0.5
SHORT_S: Final = 1.0  # what is over sooner is not told: a retry is no wait
_GROWING_S: Final = (10.0, 30.0, 60.0)


class StreamCounting(Protocol):
    """What a delivery counts of a stream; `delivery.StreamTally` has these."""

    stream: str
    records: int
    delivered: int
    rejected: int
    took_s: float | None


class Counting(Protocol):
    """What a delivery counts while it runs; `delivery.Tally` has these."""

    run: str
    requests: int
    retries: int

    @property
    def records(self) -> Mapping[str, int]:
        """How many records each stream has."""

    @property
    def now(self) -> StreamCounting:
        """The stream that is being sent."""

    @property
    def streams(self) -> Mapping[str, StreamCounting]:
        """Those that were begun."""

    @property
    def waits(self) -> Callable[[], Wait | None]:
        """Returns what stands in the way."""


@contextmanager
def watched(listener: Listener, tally: Counting) -> Iterator[None]:
    """Look at a delivery for as long as the `with` lasts, and tell how far it is as often as the listener wants."""
    listener.tell(DeliveryBegan(tally.run, tally.records))
    ended, thread = threading.Event(), None
    watch = Watch(listener, tally)
    if listener.period_s is not None:
        look_s = min(LOOK_S, listener.period_s)
        thread = threading.Thread(target=_watch, args=(watch, ended, look_s), name="progress", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # no thread can be had: nobody looks
            thread = None
    try:
        yield
    finally:
        ended.set()
        if thread is not None:
            thread.join()
        watch.end()


def _watch(watch: "Watch", ended: threading.Event, look_s: float) -> None:
    while not ended.wait(look_s):
        watch.look()


class Watch:
    """Looks at what a delivery counts, and tells what is new of it."""

    def __init__(self, listener: Listener, tally: Counting, now_s: Callable[[], float] = now_s) -> None:
        self._listener = listener
        self._tally = tally
        self._now_s = now_s
        self._pace = Pace(listener.period_s or 0.0, now_s)
        self._speed = _Speed()
        self._over: dict[str, StreamDelivered] = {}
        self._waits = False

    def look(self) -> None:
        """Tell which streams have ended; then what is waited for, or else how far the stream in hand is."""
        tally = self._tally
        self._tell_ended()
        wait = tally.waits()
        if wait is not None and wait.waited_s >= SHORT_S:
            self._waits = True
            self._listener.tell(Waits(wait, tally.run, tally.now.stream))
        else:
            self._end_wait()
            if self._pace.is_due() and tally.now.took_s is None:  # what is done moves no more
                self._listener.tell(self._progress(tally.now))

    def end(self) -> None:
        """Tell what has ended since the last look, and that nothing more is sent."""
        self._tell_ended()
        self._end_wait()
        self._listener.tell(DeliveryEnded(self._tally.run))

    def _end_wait(self) -> None:
        if self._waits:
            self._waits = False
            self._listener.tell(WaitEnded())

    def _tell_ended(self) -> None:
        for one in list(self._tally.streams.values()):
            if one.took_s is not None:
                over = StreamDelivered(
                    self._tally.run, one.stream, one.records, one.delivered, one.rejected, one.took_s
                )
                if self._over.get(one.stream) != over:
                    self._over[one.stream] = over
                    self._listener.tell(over)

    def _progress(self, now: StreamCounting) -> DeliveryProgress:
        return DeliveryProgress(
            run=self._tally.run,
            stream=now.stream,
            records=now.records,
            delivered=now.delivered,
            rejected=now.rejected,
            requests=self._tally.requests,
            retries=self._tally.retries,
            per_second=self._speed.of(now, self._now_s()),
        )


class _Speed:
    """Records a second of the stream in hand, since the first look: what an earlier call delivered is no speed."""

    def __init__(self) -> None:
        self._stream: StreamCounting | None = None
        self._before, self._began_s = 0, 0.0

    def of(self, now: StreamCounting, at_s: float) -> float:
        done = now.delivered + now.rejected
        if now is not self._stream:
            self._stream, self._before, self._began_s = now, done, at_s
        return (done - self._before) / max(at_s - self._began_s, 0.001)


class Pace:
    """Says when it is time for another line: one every few seconds, and none at once."""

    def __init__(self, period_s: float, now_s: Callable[[], float] = now_s) -> None:
        self._period_s = period_s
        self._now_s = now_s
        self._last: float | None = None

    def is_due(self) -> bool:
        """Whether a line may be written now; the next may be after another period."""
        now = self._now_s()
        if self._last is not None and now - self._last < self._period_s:
            return False
        is_first, self._last = self._last is None, now
        return not is_first


class GrowingPace:
    """Says when it is time for another line of the same thing: at once, then more and more seldom; one a minute."""

    def __init__(self, now_s: Callable[[], float] = now_s) -> None:
        self._now_s = now_s
        self._due_s = float("-inf")
        self._lines = 0

    def is_due(self) -> bool:
        """Whether a line may be written now. What comes back within a minute goes on where it was."""
        now = self._now_s()
        if now < self._due_s:
            return False
        if now >= self._due_s + _GROWING_S[-1]:
            self._lines = 0
        self._due_s = now + _GROWING_S[min(self._lines, len(_GROWING_S) - 1)]
        self._lines += 1
        return True
