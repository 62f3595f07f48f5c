"""What was set aside of a run, and who waits for it.

A chunk that brings server errors may itself be what brings them, or it may be an outage. It is set aside, and all else
goes on that does not name its users and companies: the order of those is kept. What is set aside, and what waits for
it, is tried again after all others.
"""

import threading
from collections.abc import Collection

from bucket_loader.delivery.journal import Entry
from bucket_loader.model import NEW, SYSTEM, Chunk, ChunkHistory, Clock, wire_timestamp
from bucket_loader.state import Behind, Concluded, Intent, SplitInto


class Aside:
    """The chunks that were set aside, and the ids that wait for them; any worker may call.

    A record waits for what was set aside of its own stream, of one before it, and of earlier runs: those `ids`.

    Attributes:
        is_new: whether any was set aside in this call for the first time.
    """

    def __init__(self, ids: Collection[str] = (), clock: Clock = SYSTEM) -> None:
        self._ids: dict[int, set[str]] = {-1: set(ids)} if ids else {}  # by the stream's position
        self.is_new = False
        self._histories: dict[tuple[int, str], ChunkHistory] = {}
        self._clock = clock
        self._lock: threading.Lock = clock.threading.Lock()

    def add(self, chunk: Chunk, history: ChunkHistory | None = None) -> None:
        """Let others wait for a chunk, and keep what is known of it."""
        with self._lock:
            if history is not None:
                self.is_new = self.is_new or not history.earlier
                self._histories[chunk.stream, chunk.members] = history
            for ids in chunk.named:
                self._ids.setdefault(chunk.stream, set()).update(ids)

    def try_again(self, stream: int) -> None:
        """Let nobody wait for what was set aside of a stream: it is handed out again, in its order."""
        with self._lock:
            self._ids.pop(stream, None)

    def history(self, chunk: Chunk) -> ChunkHistory:
        """Return what is known of a chunk."""
        return self._histories.get((chunk.stream, chunk.members), NEW) if self._histories else NEW

    def ready(self, chunk: Chunk) -> tuple[Chunk | None, list[Entry]]:
        """Return what may be sent of a chunk now, intended, and what has to be committed for that."""
        waits = self._waiting(chunk)
        if not waits:
            return chunk, [Intent(chunk)]
        since = wire_timestamp(self._clock.utc())
        if len(waits) == len(chunk.sequences):
            return None, [Behind(chunk, since)]
        goes, stays = chunk.part([one for one in range(len(chunk.sequences)) if one not in waits]), chunk.part(waits)
        parted = SplitInto(Concluded(chunk, "split", 0), [goes, stays])
        return goes, [Intent(chunk), parted, Behind(stays, since), Intent(goes)]

    def _waiting(self, chunk: Chunk) -> list[int]:
        """Return the positions of the records that wait; who names the same as one of them waits for it."""
        if not self._ids or chunk.ids_of is None:
            return []
        with self._lock:
            before = [ids for stream, ids in self._ids.items() if stream <= chunk.stream]
            if not before:
                return []
            mine = self._ids.setdefault(chunk.stream, set())
            waits = []
            for position, named in enumerate(chunk.named):
                if not all(named.isdisjoint(ids) for ids in (mine, *before)):
                    waits.append(position)
                    mine.update(named)
            return waits
