"""One worker: it takes chunks, sends them, asks what follows, and does that.

    take --> intend --> launch --> land --> delivered: one commit with the next intents
                                        --> anything else: passed on, and brought to its end (`finishing`)

What follows from an outcome is decided in `course`; what has to be durable is said to the journal. A worker knows a
journal, a pool of connections and a clock, each given to it.
"""

from collections import deque
from typing import Final

from bucket_loader.delivery.course import arrived
from bucket_loader.delivery.finishing import Finishing, concluded
from bucket_loader.delivery.flight import Flight, Shared
from bucket_loader.delivery.journal import Entry
from bucket_loader.delivery.queue import Work
from bucket_loader.delivery.transport import Connection
from bucket_loader.model import Chunk, Outcome, Verdict

LOOK_S: Final = 0.05  # how often who waits for answers looks whether there is more to send


class Worker:
    """Takes chunks and brings each to its outcome; has several in flight when one thread can keep the server busy."""

    def __init__(self, shared: Shared, name: str) -> None:
        self.crash: BaseException | None = None
        self._shared = shared
        self._thread = shared.clock.threading.Thread(target=self.work, name=name, daemon=True)
        self._waiting: deque[Work] = deque()  # intended
        self._flying: dict[Connection, Flight] = {}

    def start(self) -> bool:
        """Work in a thread of its own; return whether one can be had."""
        try:
            self._thread.start()
        except RuntimeError:  # the system's limit
            return False
        return True

    def join(self) -> None:
        """Wait for the end."""
        self._thread.join()

    def work(self) -> None:
        """Work until the queue is empty or the run is stopped."""
        try:
            while self._has_work():
                self._launch()
                if self._flying:
                    self._land()
        except BaseException as error:  # noqa: BLE001  # re-raised by the delivery: a thread's own would be lost
            self.crash = error
            self._shared.standing.stopped.set()
        finally:
            for connection in self._flying:
                connection.close()  # an answer may still come there: nobody may take it for another's

    # --- several in flight ----------------------------------------------------------------------------------------

    def _has_work(self) -> bool:
        """Take what there is to do; return whether chunks wait or are in flight, all intended; False at the end."""
        queue = self._shared.queue
        more = self._more()
        if (self._waiting or self._flying) and more > 0:  # what could not be had with the last commit
            self._intend(queue.take_more(self, more, ending=0))
        while not (self._waiting or self._flying):
            work = queue.take(self, self._more())
            if work is None:
                return False
            if isinstance(work, Work):
                self._finish(work)
            else:
                self._intend(work)
        return True

    def _intend(self, chunks: list[Chunk]) -> None:
        ready, entries = self._ready(chunks)
        if entries:
            self._shared.journal.commit(entries)
            self._waiting.extend(ready)

    def _ready(self, chunks: list[Chunk]) -> tuple[list[Work], list[Entry]]:
        """Return what of some chunks does not wait for what was set aside, and what is to be committed of them all."""
        ready: list[Work] = []
        entries: list[Entry] = []
        for chunk in chunks:
            part, more = self._shared.aside.ready(chunk)
            entries += more
            if part is not chunk:
                self._shared.queue.exchange(chunk, part)
            if part is not None:
                ready.append(Work(part, self._shared.aside.history(part)))
        return ready, entries

    def _more(self, landed: int = 0) -> int:
        """Return how many more chunks this thread should have: one, or as many as can be sent at once.

        Args:
            landed: connections that are free as soon as what came over them is committed.
        """
        in_hand = len(self._waiting) + len(self._flying)
        sendable = self._shared.pool.opened + landed - len(self._waiting)
        return max(1 - in_hand, min(self._shared.pacer.at_once - in_hand, sendable))

    def _launch(self) -> None:
        """Send what waits, as far as may be; who has answers to read waits neither for a slot nor for a connection."""
        while self._waiting:
            connection = self._connection()
            if connection is None:
                return
            slot = self._shared.pacer.acquire(wait=not self._flying)
            if slot is None:
                self._shared.pool.give_back(connection)
                if not self._flying:
                    self._shared.queue.pass_on(self._waiting.popleft())  # the run is stopped
                    continue
                return
            self._flying[connection] = flight = Flight(self._shared, self._waiting.popleft(), connection, slot)
            flight.begin()

    def _connection(self) -> Connection | None:
        """Return a connection; who has answers to read does not open one, and who came to open one does."""
        pool, queue = self._shared.pool, self._shared.queue
        if self._flying:
            return pool.take_opened()
        opens = pool.capacity < self._shared.pacer.at_once and not queue.leads(self)
        opened = None if opens else pool.take_opened()
        if opened is not None:
            return opened
        self._leave_the_rest()
        return pool.take_closed()

    def _leave_the_rest(self) -> None:
        """Keep one chunk: who opens a connection waits for it, and others can lead, and send, meanwhile."""
        while len(self._waiting) > 1:
            self._shared.queue.pass_on(self._waiting.pop())
        self._shared.queue.step_back(self)

    def _land(self) -> None:
        """Read the answers that have come, at least one; commit what was delivered with the next intents."""
        pool, queue = self._shared.pool, self._shared.queue
        delivered: list[Work] = []
        free: list[tuple[Connection, Outcome | None]] = []
        # Others may wait for the lead to take what there is room for; and a chunk that waits here is sent by this
        # worker only.
        looks = queue.leads(self) or self._waiting
        landed = pool.answered(list(self._flying), LOOK_S if looks else None)
        try:
            while landed:
                for connection in landed:
                    work = self._flying[connection].end()
                    del self._flying[connection]
                    free.append((connection, work.outcome))
                    if work.outcome is not None and work.outcome.verdict is Verdict.DELIVERED:
                        delivered.append(work)
                    else:
                        queue.pass_on(work)
                landed = pool.answered(list(self._flying), 0)  # those that came meanwhile share the commit
            if delivered:
                self._commit_delivered(delivered, len(free))
        finally:
            # Only now: a server that closes after an answer has had the time to.
            for connection, outcome in free:
                pool.give_back(connection, outcome)

    def _commit_delivered(self, delivered: list[Work], landed: int) -> None:
        # One commit carries the outcomes and the next intents. What shares an id waits for that commit: a crash before
        # it sends these chunks again, and they must not come after newer ones.
        shared = self._shared
        following = shared.queue.take_more(self, self._more(landed), ending=len(delivered))
        ended = [concluded(work, "delivered", arrived(work.history)) for work in delivered]
        ready, entries = self._ready(following)
        shared.journal.commit([*ended, *entries])
        shared.queue.done(*(work.chunk for work in delivered))
        for work in delivered:
            shared.standing.accepted(work.chunk)
        self._waiting.extend(ready)

    def _finish(self, work: Work) -> None:
        """Bring a chunk whose first attempt did not deliver it to its end; nothing else is in flight here."""
        Finishing(self._shared).finish(work)
        self._shared.queue.done(work.chunk)
