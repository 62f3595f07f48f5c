"""Worker processes of this machine, which share the items of a function among them.

A worker is started anew (never forked: threads and connections do not survive that), is told all by its standard input,
and ends when that is closed: also when this process is killed.
"""

import os
import pickle
import subprocess
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from typing import IO, Any, Final, Self, TypeVar, cast

from bucket_loader.model import PYTHON, WorkerLostError, as_imported_here, how_it_ended
from bucket_loader.planning.engine.messages import End, Failed, Job, Wants

Made = TypeVar("Made")
_MODULE: Final = "bucket_loader.planning.engine.worker"
_POCKET: Final = 2  # items that a worker has at the most: one that it works on, and the next
_WEIGHT_EACH: Final = 5  # items; a worker takes a second to start: as long as this process takes for three slices
_CORES_EACH: Final = 2  # one process keeps so many busy: two threads map, while one reads and one writes
_LOST: Final = object()
_END_S: Final = 5.0  # until a worker that is to end is ended


class Processes:
    """As many workers as are asked for, or as help here; they are started when they are first needed.

    Args:
        count: how many; None for as many as help.
    """

    def __init__(self, count: int | None = None) -> None:
        self._count = count
        self._workers: list[_Worker] = []
        self._heard: SimpleQueue[tuple[_Worker, Any]] = SimpleQueue()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def run(self, function: Callable[[Iterable[Any]], Iterator[Made]], items: Iterable[Any]) -> Iterator[Made]:
        """Yield what is made of items: here, or by workers, where the items can go to them and are many enough.

        Raises:
            WorkerLostError: a worker was killed.
        """
        listed = cast("Sequence[Any]", items) if getattr(function, "travels", False) else ()
        weight = sum(getattr(item, "weight", 1) for item in listed)
        if (count := self._wanted(len(listed), weight)) < 2:  # noqa: PLR2004  # one is this process
            yield from function(items)
            return
        done = False
        try:
            yield from self._shared(function, listed, count)
            done = True
        finally:
            if not done:  # what they still write is of no use
                self._end(at_once=True)

    def _wanted(self, items: int, weight: int) -> int:
        """Return how many workers are to share items; each item weighs one, or more where it says so."""
        if self._count is not None:
            return min(self._count, items)
        return min(cores() // _CORES_EACH, weight // _WEIGHT_EACH, items)

    def _shared(self, function: object, items: Sequence[Any], count: int) -> Iterator[Any]:
        """Hand out the items in their order, each to the worker that wants one; yield what comes back."""
        while len(self._workers) < count:
            self._workers.append(_Worker(self._heard))
        working, left = set(self._workers[:count]), iter(items)
        for worker in working:
            worker.tell(Job(function, getattr(function, "key", None)))
        for worker in [*working] * _POCKET:
            worker.tell(next(left, End()))
        while working:
            worker, message = self._heard.get()
            if isinstance(message, Wants):
                worker.tell(next(left, End()))
            elif isinstance(message, End):
                working.remove(worker)
            elif isinstance(message, Failed):
                raise message.error
            elif message is _LOST:
                raise _lost(worker)
            else:
                yield message

    def _end(self, *, at_once: bool = False) -> None:
        for worker in self._workers:
            worker.close(at_once=at_once)
        self._workers.clear()


class _Worker:
    """A worker process, and the thread that hears it."""

    def __init__(self, heard: "SimpleQueue[tuple[_Worker, Any]]") -> None:
        self._process = subprocess.Popen(  # noqa: S603  # this very package
            [*PYTHON, "-m", _MODULE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=as_imported_here(),
            start_new_session=True,  # a Ctrl-C is for this process, which lets the workers end
        )
        threading.Thread(target=self._listen, args=(heard,), name="worker", daemon=True).start()

    def tell(self, message: object) -> None:
        """Send a message; that it does not arrive is seen by what is heard."""
        with suppress(BrokenPipeError):
            pickle.dump(message, self._stdin)
            self._stdin.flush()

    @property
    def _stdin(self) -> IO[bytes]:
        return cast("IO[bytes]", self._process.stdin)

    def _listen(self, heard: "SimpleQueue[tuple[_Worker, Any]]") -> None:
        stdout = cast("IO[bytes]", self._process.stdout)
        with stdout, suppress(EOFError, pickle.UnpicklingError):
            while True:
                heard.put((self, pickle.load(stdout)))  # noqa: S301  # from this very package
        heard.put((self, _LOST))

    def ended(self) -> int:
        """Return how it ended."""
        return self._process.wait()

    def close(self, *, at_once: bool) -> None:
        """End it, and wait until it has."""
        if at_once:
            self._process.kill()
        with suppress(BrokenPipeError):
            self._stdin.close()
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _lost(worker: _Worker) -> WorkerLostError:
    how, _ = how_it_ended(worker.ended())
    return WorkerLostError(
        f"a worker process {how} while planning; nothing was sent",
        hint="the system kills what takes too much memory: `--processes 1` takes least",
    )


def cores() -> int:
    """Return how many cores this process may use."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(allowed, int(_quota())))


def _quota() -> float:
    """Return how many cores a container may use; more than there are where nothing says it."""
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii").split()
        return float(quota) / float(period)
    except (OSError, ValueError):  # no container, or no limit
        return float("1e6")
