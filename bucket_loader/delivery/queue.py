"""A stream's chunks on their way to the workers: which may be out together, and who sends them."""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from bucket_loader.model import NEW, SYSTEM, Attempt, Chunk, ChunkHistory, Clock, Outcome


@dataclass(slots=True)
class Work:
    """A chunk in a worker's hands: what is known of it, and what its latest attempt came to.

    Attributes:
        chunk: which one.
        history: as `next_step` wrote it.
        when_sent: the run's successes at the moment when the latest attempt was sent.
        outcome: what that attempt came to, until it is decided what follows; None when there is none.
        tries: the attempts that the ledger does not know of yet.
    """

    chunk: Chunk
    history: ChunkHistory = NEW
    when_sent: int = 0
    outcome: Outcome | None = None
    tries: list[Attempt] = field(default_factory=list)


class Queue:
    """A stream's chunks, taken by many workers; two that name the same id are never out at once.

    One whose first attempt failed is passed on when the worker has others in flight, whose answers nobody else would
    read.

    Attributes:
        sampled: how many chunks are out that are to show whether all is refused, and have not yet.

    When one thread can keep the server busy, one does: handing over between threads costs more than sending. It is the
    `lead`; others only come in while connections are missing, open them, and leave it to the lead to use them.
    """

    def __init__(  # what it asks of others
        self,
        chunks: Iterator[Chunk],
        stopped: threading.Event,
        *,
        room: Callable[[], int],
        one_is_enough: Callable[[], bool],
        clock: Clock = SYSTEM,
    ) -> None:
        self._chunks = chunks
        self._stopped = stopped
        self._room = room  # how many chunks may be out
        self._one_is_enough = one_is_enough
        self._lead: object = None
        self._next: Chunk | None = None
        self._ended = False
        self._first: deque[Chunk] = deque()
        self._taken_first: set[str] = set()
        self.sampled = 0
        self._undecided: deque[Work] = deque()
        self._handed_out: set[int] = set()  # the first sequences of chunks; an intent may not be committed yet
        self._out: list[frozenset[str]] = []
        self._condition = clock.threading.Condition()
        self._look_s = clock.look_s

    def take(self, who: object, most: int = 1) -> list[Chunk] | Work | None:
        """Wait for something to do, for a worker that has nothing.

        Returns:
            What another could not finish; or chunks, as many as there is room for and nothing in flight shares an id
            with; or None at the end, when nothing is in flight that could still be passed on, and when the run is
            stopped.
        """
        with self._condition:
            self._leave(who)
            while True:
                if self._undecided:
                    return self._undecided.popleft()
                if self._stopped.is_set():
                    return None
                if taken := self._fitting(who, most):
                    return taken
                if self._ended and not self._out:
                    return None
                self._condition.wait(self._look_s)

    def take_more(self, who: object, most: int, ending: int) -> list[Chunk]:
        """Return chunks for a worker that has others, without waiting.

        Args:
            who: the worker.
            most: as many as it wants.
            ending: how many that it has are as good as done.
        """
        with self._condition:
            return [] if self._stopped.is_set() else self._fitting(who, most, ending)

    def _fitting(self, who: object, most: int, ending: int = 0) -> list[Chunk]:
        taken: list[Chunk] = []
        if self._lead not in (None, who) and self._one_is_enough():
            return taken
        while len(taken) < most and len(self._out) < self._room() + ending:
            chunk = self._next = self._next or self._following()
            self._ended = chunk is None
            if chunk is None or any(chunk.ids & ids for ids in self._out):
                break
            self._next = None
            self._out.append(chunk.ids)
            taken.append(chunk)
        if taken:
            self._lead = self._lead or who
        return taken

    def leads(self, who: object) -> bool:
        """Whether a worker is the one that has chunks in flight while others only open connections."""
        return self._lead is who

    def step_back(self, who: object) -> None:
        """Let another be the lead: this worker will wait for something."""
        with self._condition:
            self._leave(who)

    def _leave(self, who: object) -> None:
        if self._lead is who:
            self._lead = None
            self._condition.notify()

    def _following(self) -> Chunk | None:
        if self._first:
            return self._first.popleft()
        chunk = next(self._chunks, None)
        while chunk is not None and chunk.members in self._taken_first:
            chunk = next(self._chunks, None)
        if chunk is not None:
            self._handed_out.add(chunk.sequences[0])
        return chunk

    def take_first(self, chunks: Iterable[Chunk]) -> None:
        """Hand out some of the chunks before all others; not those that a worker has taken meanwhile."""
        with self._condition:
            for chunk in chunks:
                if chunk.sequences[0] not in self._handed_out:
                    self._first.append(chunk)
                    self._taken_first.add(chunk.members)
            self._condition.notify_all()

    def sample(self) -> Chunk | None:
        """Return a chunk that is to be handed out before all others, for a worker that is in the middle of another."""
        with self._condition:
            if not self._first or any(self._first[0].ids & ids for ids in self._out):
                return None
            chunk = self._first.popleft()
            self._out.append(chunk.ids)
            self.sampled += 1
            return chunk

    def sample_judged(self) -> None:
        """Say that such a chunk has shown what the API says to it."""
        with self._condition:
            self.sampled -= 1

    def exchange(self, chunk: Chunk, part: Chunk | None) -> None:
        """Say that of a chunk that was taken only a part is sent now, or nothing."""
        with self._condition:
            if part is not None:
                self._out.append(part.ids)
        self.done(chunk)

    def pass_on(self, work: Work) -> None:
        """Let whoever has nothing in flight go on with a chunk."""
        with self._condition:
            self._undecided.append(work)
            self._condition.notify()

    def done(self, *chunks: Chunk) -> None:
        """Say that chunks are no longer in flight."""
        with self._condition:
            for chunk in chunks:
                self._out.remove(chunk.ids)
            # Their worker has taken others by now, most of the time: nobody is woken for a place that is not there.
            free = self._room() - len(self._out)
            if self._ended and not self._out:
                self._condition.notify_all()
            elif free > 0:
                self._condition.notify(min(free, 2))
