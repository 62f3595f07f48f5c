"""A sender that `run --senders` has started: what it is to do comes through a pipe, and what it does goes back.

    parent --Work--> child --Told, Counted ...--> parent --a word, or the end of the pipe--> the child drains

Nothing of it is on a command line, where other users of the machine could read it.
"""

import sys
import threading
from contextlib import suppress
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

from bucket_loader.config import Pipeline
from bucket_loader.delivery import StreamTally, Tally
from bucket_loader.model import BucketLoaderError
from bucket_loader.reporting import Event
from bucket_loader.runs.assigning import assignment_of
from bucket_loader.runs.job import Job, RunOptions
from bucket_loader.runs.senders.sending import beside, send_parts
from bucket_loader.runs.signals import drained_on_signals

COUNTS_EVERY_S: Final = 0.25


@dataclass(frozen=True)
class Work:
    """What a child is to do. The streams of the pipeline stay behind: the plan has all of them."""

    pipeline: Pipeline
    base: Path
    options: RunOptions
    file: Path | None
    run: str


@dataclass(frozen=True)
class Counted:
    """What a child has done so far."""

    streams: dict[str, StreamTally] = field(default_factory=dict)
    now: str = ""
    requests: int = 0
    retries: int = 0
    served: int = 0
    reached: bool = False

    @classmethod
    def of(cls, tally: Tally) -> "Counted":
        """Return what a tally says now."""
        streams = {name: replace(one) for name, one in list(tally.streams.items())}
        return cls(streams, tally.now.stream, tally.requests, tally.retries, tally.served, tally.reached)


@dataclass(frozen=True)
class Ended:
    """How a child ended: what ended it early, or nothing."""

    error: BucketLoaderError | None


Message = Event | Counted | Ended


class _Pipe:
    """The parent, as who is told."""

    period_s: float | None = None

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()

    def tell(self, event: Message) -> None:
        """Tell the parent; one that has died does not hear it."""
        with self._lock:
            try:
                self._connection.send(event)
            except OSError:
                return


def main(descriptor: int) -> None:
    """Do what comes through a pipe."""
    connection = Connection(descriptor)
    work: Work = connection.recv()
    pipe = _Pipe(connection)
    job = Job(work.pipeline, work.base, work.options, pipe, file=work.file)
    threading.Thread(target=_watch, args=(connection, job), name="parent", daemon=True).start()
    error: BucketLoaderError | None = None
    with drained_on_signals(job):
        try:
            _send(job, work.run, pipe)
        except BucketLoaderError as failure:
            error = failure
    pipe.tell(Ended(error))
    sys.exit(0 if error is None else error.exit_code)


def _watch(connection: Connection, job: Job) -> None:
    """Drain as soon as the parent says so, or ends."""
    with suppress(EOFError, OSError):
        connection.recv()
    job.drain()


def _send(job: Job, run: str, pipe: _Pipe) -> None:
    with beside(job, run, verify=False) as at:
        assignment = assignment_of(job, at.state, at.planned)
        ended = threading.Event()
        counting = threading.Thread(target=_count, args=(pipe, assignment.tally, ended), name="tally", daemon=True)
        counting.start()
        try:
            send_parts(job, at, assignment)
        finally:
            ended.set()
            counting.join()
            pipe.tell(Counted.of(assignment.tally))


def _count(pipe: _Pipe, tally: Tally, ended: threading.Event) -> None:
    while not ended.wait(COUNTS_EVERY_S):
        pipe.tell(Counted.of(tally))
