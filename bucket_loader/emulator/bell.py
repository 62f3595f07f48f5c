"""Wakes calls that wait for something to happen in an environment."""

import asyncio


class Bell:
    """What calls wait at, and what is rung when something has happened; it costs next to nothing while nobody waits."""

    def __init__(self) -> None:
        self._waiting: set[asyncio.Future[None]] = set()

    def ring(self) -> None:
        """Wake all who wait."""
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_result(None)

    async def wait(self, wait_s: float) -> bool:
        """Wait until it rings; return whether it did within that time."""
        waiting = asyncio.get_running_loop().create_future()
        self._waiting.add(waiting)
        try:
            async with asyncio.timeout(wait_s):
                await waiting
        except TimeoutError:
            return False
        finally:
            self._waiting.remove(waiting)
        return True
