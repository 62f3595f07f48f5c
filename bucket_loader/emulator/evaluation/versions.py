"""The flagStateVersion of an environment: a number that only rises, and what is waited for.

Clients ignore definitions whose version is below one that they have seen. So it begins at a number made from the time,
and neither a reset nor a restart sets it back. Source: NODE, BROW (from 1.5).
"""

import time

from bucket_loader.emulator.bell import Bell


class Versions:
    """The version of the definitions, now and as soon as it changes.

    Attributes:
        current: the version of the definitions that hold now.
        is_over: whether there will be no other one.
    """

    def __init__(self) -> None:
        self.current = 0
        self.is_over = False
        self._bell = Bell()

    def rise(self, version: int) -> None:
        """Have another version, which everybody who waits for it learns at once."""
        self.current = version
        self._bell.ring()

    def end(self) -> None:
        """Let nobody wait any longer."""
        self.is_over = True
        self._bell.ring()

    async def reach(self, version: int, wait_s: float) -> None:
        """Wait until there is a version or a later one; at the longest so many seconds, or until the end."""
        end_s = time.monotonic() + wait_s
        while self.current < version and not self.is_over and (left_s := end_s - time.monotonic()) > 0:
            await self._bell.wait(left_s)
