"""Wakes calls that wait for something to happen in an environment."""

import asyncio
from collections.abc import Callable
from typing import NamedTuple, TypeAlias


class Arrival(NamedTuple):
    """A call that was accepted: its number, and the types of its items."""

    request: int
    types: frozenset[str]


Wants: TypeAlias = Callable[[Arrival], bool]


class Bell:
    """What calls wait at, and what is rung when something has happened; it costs next to nothing while nobody waits."""

    def __init__(self) -> None:
        self._waiting: dict[asyncio.Future[None], Wants | None] = {}

    def __bool__(self) -> bool:
        """Whether anybody waits."""
        return bool(self._waiting)

    def ring(self, arrival: Arrival | None = None) -> None:
        """Wake all who wait; where it is for an arrival, only those who want it: hundreds may wait for others."""
        for waiting, wants in self._waiting.items():
            if not waiting.done() and (arrival is None or wants is None or wants(arrival)):
                waiting.set_result(None)

    async def wait(self, wait_s: float, wants: Wants | None = None) -> bool:
        """Wait until it rings, for all or for an arrival that is wanted; return whether it did within that time."""
        waiting = asyncio.get_running_loop().create_future()
        self._waiting[waiting] = wants
        try:
            async with asyncio.timeout(wait_s):
                await waiting
        except TimeoutError:
            return False
        finally:
            del self._waiting[waiting]
        return True
