"""Signals: SIGINT and SIGTERM end a run in order."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from bucket_loader.runs.job import Job


@contextmanager
def drained_on_signals(job: Job) -> Iterator[None]:
    """Drain on SIGINT and SIGTERM; a second one ends the process at once, which the ledger survives as well."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def drain(number: int, _frame: FrameType | None) -> None:
        if job.stopped.is_set():
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        job.signal_number = number
        job.stopped.set()

    before = {number: signal.signal(number, drain) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
