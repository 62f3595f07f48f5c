"""The journal as JSON Lines: all of it, or what came after a request, as soon as there is some."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Final, NamedTuple

from bucket_loader.emulator.bell import Arrival
from bucket_loader.emulator.environment import Environment
from bucket_loader.emulator.store import wire
from bucket_loader.emulator.store.effects import BULK
from bucket_loader.emulator.store.journal import Journal

TYPES: Final = tuple(name for name in wire.TYPES if name != BULK)
# How much is read until calls have their turn: large enough to be quick, small enough to let them in between.
_PIECE_BYTES: Final = 262_144
_HEAD_BYTES: Final = 100  # what a call costs beside its body


class Wanted(NamedTuple):
    """Which items of the journal are wanted.

    Attributes:
        after: of requests with a greater number than this.
        type: of this type; None for all.
    """

    after: int
    type: str | None

    def meets(self, arrival: Arrival) -> bool:
        """Whether a call that was accepted has brought some."""
        return arrival.request > self.after and (self.type is None or self.type in arrival.types)


async def pieces(environment: Environment, wanted: Wanted, wait_s: float) -> AsyncIterator[bytes]:
    """Yield the lines that are wanted, many at a time; when there is none yet, wait that long for the first.

    A reset ends it: requests are numbered from 1 again then. So does the end of the environment.
    """
    journal, store, end_s = environment.journal, environment.store, time.monotonic() + wait_s
    place, is_found = 0, False

    def goes_on() -> bool:
        return environment.store is store and not environment.versions.is_over

    while goes_on():
        async for reached, piece in _look(journal, place, wanted):
            place = reached
            if piece:
                is_found = True
                yield piece
        if is_found:
            return
        if goes_on() and journal.end() == place:
            is_rung = await environment.arrivals.wait(end_s - time.monotonic(), wanted.meets)
            if not is_rung:
                return


async def _look(journal: Journal, place: int, wanted: Wanted) -> AsyncIterator[tuple[int, bytes]]:
    """Yield what is wanted of that which stands in the journal now, with the place that was reached."""
    piece, read = bytearray(), 0
    for reached, entry in journal.after(place):
        place = reached
        if entry.request > wanted.after:
            piece += b"".join(entry.lines(wanted.type))
        read += _HEAD_BYTES + len(entry.body)
        if read >= _PIECE_BYTES:
            yield place, bytes(piece)
            piece, read = bytearray(), 0
            await asyncio.sleep(0)
    yield place, bytes(piece)
