"""Signals: SIGINT, SIGTERM and SIGHUP end a run in order."""

import ctypes
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any, Final

from bucket_loader.runs.job import Job

_DRAIN: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_ACTION_BYTES: Final = 512  # more than any system's `struct sigaction`


@contextmanager
def drained_on_signals(job: Job) -> Iterator[None]:
    """Drain on a signal; a second one ends the process at once, which the ledger survives. A host has that one itself.

    A signal that is ignored stays so (`nohup`), and so does a handler that was there before Python: it could not be
    called. All others are given back as they were.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    kept = {number: _Kept.now(number) for number in _DRAIN if signal.getsignal(number) not in {None, signal.SIG_IGN}}

    def drain(number: int, _frame: FrameType | None) -> None:
        if not job.signalled:
            job.drain(number)
            return
        if job.in_host:
            kept[signal.Signals(number)].give_back()
        else:
            signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)

    try:
        for number in kept:
            signal.signal(number, drain)
        yield
    finally:
        for one in kept.values():
            one.give_back()


@dataclass(frozen=True)
class _Kept:
    """What a process does about a signal: for Python, and for the system, whose flags Python does not know."""

    number: signal.Signals
    handler: Callable[[int, FrameType | None], Any] | int | signal.Handlers | None
    action: "ctypes.Array[ctypes.c_char]"

    @classmethod
    def now(cls, number: signal.Signals) -> "_Kept":
        """Return what it does now."""
        action = ctypes.create_string_buffer(_ACTION_BYTES)
        ctypes.CDLL(None).sigaction(int(number), None, action)
        return cls(number, signal.getsignal(number), action)

    def give_back(self) -> None:
        """Let it do that again."""
        signal.signal(self.number, self.handler)
        ctypes.CDLL(None).sigaction(int(self.number), self.action, None)
