"""How far a delivery is: a thread looks at what the delivery counts, and tells the listener now and then."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from bucket_loader.reporting.events import DeliveryBegan, DeliveryEnded, DeliveryProgress, Listener


class Counting(Protocol):
    """What a delivery counts while it runs; `delivery.Tally` has these."""

    run: str
    stream: str
    records: int
    delivered: int
    rejected: int
    requests: int
    retries: int
    state: str


@contextmanager
def watched(listener: Listener, tally: Counting) -> Iterator[None]:
    """Look at a delivery for as long as the `with` lasts, and tell how far it is as often as the listener wants."""
    listener.tell(DeliveryBegan(tally.run))
    ended, thread = threading.Event(), None
    if listener.period_s is not None:
        arguments = (listener, listener.period_s, tally, ended)
        thread = threading.Thread(target=_watch, args=arguments, name="progress", daemon=True)
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
        listener.tell(DeliveryEnded(_progress(tally, 0.0)))


def _watch(listener: Listener, period_s: float, tally: Counting, ended: threading.Event) -> None:
    stream, before, began = None, 0, 0.0
    while not ended.wait(period_s):
        done, now = tally.delivered + tally.rejected, time.monotonic()
        if tally.stream != stream:  # the first look at a stream: what an earlier call has delivered is no speed
            stream, before, began = tally.stream, done, now
        listener.tell(_progress(tally, (done - before) / max(now - began, 0.001)))


def _progress(tally: Counting, per_second: float) -> DeliveryProgress:
    return DeliveryProgress(
        run=tally.run,
        stream=tally.stream,
        records=tally.records,
        delivered=tally.delivered,
        rejected=tally.rejected,
        requests=tally.requests,
        retries=tally.retries,
        state=tally.state,
        per_second=per_second,
    )


class Pace:
    """Says when it is time for another line: one every few seconds, and none at once."""

    def __init__(self, period_s: float) -> None:
        self._period_s = period_s
        self._last: float | None = None

    def is_due(self) -> bool:
        """Whether a line may be written now; the next may be after another period."""
        now = time.monotonic()
        if self._last is not None and now - self._last < self._period_s:
            return False
        is_first, self._last = self._last is None, now
        return not is_first
