"""`run --senders M`: M processes of this machine send a run, and end with the process that started them.

The process that started them lets them in beside itself, and when they have ended it goes on as ever: what they have
left it sends, and it alone ends the run.
"""

import errno
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import Pipe
from multiprocessing.connection import Connection

from bucket_loader.delivery import Assignment, StreamTally, Tally, error_of
from bucket_loader.model import (
    PYTHON,
    BucketLoaderError,
    InterruptedRunError,
    PatienceError,
    as_imported_here,
    how_it_ended,
)
from bucket_loader.reporting import Note
from bucket_loader.runs.job import Job
from bucket_loader.runs.senders.child import Counted, Ended, Work
from bucket_loader.runs.senders.sending import parts_of
from bucket_loader.state import State

_MAIN = "from bucket_loader.runs.senders.child import main; main({})"


def send_by_processes(job: Job, state: State, assignment: Assignment) -> None:
    """Let several processes send what there is to send of a run; what they leave is the caller's.

    Raises:
        BucketLoaderError: what one of them met that ends the run.
        InterruptedRunError: a signal came.
    """
    planned, ledger = assignment.plan, state.ledger
    run, parts = planned.manifest.run, parts_of(planned)
    if len(parts) < 2:  # noqa: PLR2004  # one part has one sender
        return
    ledger.share_out(run, parts)
    if not ledger.parts_left(run):  # what is set aside, or held, is the caller's
        return
    children = [_Child() for _ in range(min(job.options.senders, len(parts)))]
    with ledger.database.shared(), _started(children, job, run):
        _attend(children, job, state, assignment.tally)
    if (flag := ledger.flag(run)) is not None:
        raise error_of(flag)
    if job.stopped.is_set():
        raise InterruptedRunError(job.signal_number)
    out_of_patience = [one.error for one in children if isinstance(one.error, PatienceError)]
    if out_of_patience and ledger.parts_left(run):
        raise out_of_patience[0]


@dataclass(eq=False)
class _Child:
    """A process that was started.

    Attributes:
        counted: what it has said of itself last.
        error: what ended it early, as it has said itself.
        refused: why the system did not start it, and what can be done about it.
    """

    counted: Counted = field(default_factory=Counted)
    error: BucketLoaderError | None = None
    refused: tuple[str, str] | None = None
    process: "subprocess.Popen[bytes] | None" = None
    connection: "Connection | None" = None

    def start(self, work: Work) -> None:
        """Start it."""
        self.connection, theirs = Pipe()
        descriptor = theirs.fileno()
        try:
            self.process = subprocess.Popen(  # noqa: S603  # this very program
                [*PYTHON, "-c", _MAIN.format(descriptor)],
                stdin=subprocess.DEVNULL,
                pass_fds=(descriptor,),
                env=as_imported_here(),
            )
        except OSError as error:
            is_gone = error.errno in {errno.ENOENT, errno.EACCES}
            hint = "it was there when this command began" if is_gone else "fewer processes take less of the system"
            self.refused = f"could not be started: {error.strerror}: {PYTHON[0]}", hint
        theirs.close()
        with suppress(OSError):  # it has died already, as its end will tell
            self.connection.send(work)

    def end(self) -> int | None:
        """Wait until it has ended; return its process, None where there never was one."""
        if self.process is None:
            return None
        self.process.wait()
        return self.process.pid

    def why_lost(self) -> tuple[str, str] | None:
        """Return why it did not send to the end, and what can be done about it; None where it did."""
        if self.error is not None:
            return f"has ended: {self.error.message}", self.error.hint
        if self.process is None:
            return self.refused
        return how_it_ended(self.process.returncode) if self.process.returncode else None

    def drain(self) -> None:
        """Let it finish what is in flight, and end.

        A signal would end it at once where a terminal has sent it one before.
        """
        with suppress(OSError):
            self.connection.send(None)  # type: ignore[union-attr]

    def listen(self, job: Job) -> None:
        """Hear what it tells until it ends."""
        assert self.connection is not None  # noqa: S101  # narrows the type
        try:
            while True:
                message = self.connection.recv()
                if isinstance(message, Counted):
                    self.counted = message
                elif isinstance(message, Ended):
                    self.error = message.error
                else:
                    job.listener.tell(message)
        except (EOFError, OSError):
            return


@contextmanager
def _started(children: list[_Child], job: Job, run: str) -> Iterator[None]:
    """Start processes, and see them end."""
    pipeline = job.pipeline.model_copy(update={"streams": [], "sources": {}, "notify": []})
    work = Work(pipeline, job.base, job.options, job.file, run)
    try:
        for child in children:
            child.start(work)
        yield
    finally:
        for child in children:
            if child.connection is not None:
                child.connection.close()
            child.end()


def _attend(children: list[_Child], job: Job, state: State, tally: Tally) -> None:
    """Listen to processes until all have ended: count what they do, and free the part of one that dies."""
    here, drains, losses = socket.gethostname(), False, _Losses(job, state, tally.run)
    threads = {one: threading.Thread(target=one.listen, args=(job,), daemon=True) for one in children}
    for thread in threads.values():
        thread.start()
    while threads:
        for thread in threads.values():
            thread.join(timeout=0.25 / len(threads))
        ended = [child for child, thread in threads.items() if not thread.is_alive()]
        for child in ended:
            del threads[child]
            if (pid := child.end()) is not None:
                state.ledger.leave_for(tally.run, here, pid)
        losses.tell(ended, left=len(threads))
        _add_up(children, tally)
        if job.stopped.is_set() and not drains:
            drains = True
            for child in threads:
                child.drain()


class _Losses:
    """Tells of processes that did not send to the end: of the first, and when none of all is left."""

    def __init__(self, job: Job, state: State, run: str) -> None:
        self._job, self._state, self._run = job, state, run
        self._is_told = False

    def tell(self, ended: list[_Child], *, left: int) -> None:
        """Tell of processes that have just ended, where that is of note; so many others go on."""
        lost, ledger = next(filter(None, (child.why_lost() for child in ended)), None), self._state.ledger
        if lost is None or (left and self._is_told) or self._job.stopped.is_set() or ledger.flag(self._run) is not None:
            return
        self._is_told, (why, hint) = True, lost
        goes_on = "the others send its part" if left else "none of them is left, and this process sends the rest alone"
        if ledger.parts_left(self._run):
            self._job.listener.tell(Note(f"a process of --senders {why} ({hint}); {goes_on}"))


def _add_up(children: list[_Child], tally: Tally) -> None:
    """Let a tally say what all processes have done."""
    counted = [child.counted for child in children]
    for name in {name for one in counted for name in one.streams}:
        mine = [one.streams[name] for one in counted if name in one.streams]
        delivered, rejected = sum(one.delivered for one in mine), sum(one.rejected for one in mine)
        tally.streams[name] = StreamTally(name, mine[0].records, delivered, rejected, min(o.began_s for o in mine))
    now = [tally.streams[one.now] for one in counted if one.now]
    tally.now = now[0] if now else tally.now
    tally.requests, tally.retries = sum(one.requests for one in counted), sum(one.retries for one in counted)
    tally.served = sum(one.served for one in counted)
    tally.reached = any(one.reached for one in counted)
