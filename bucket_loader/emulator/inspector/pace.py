"""How a look into a store that may hold millions takes its time: each ends after a moment, and can go on later.

Nothing is indexed for looks, since an index would cost every accepted record something and nobody may ever look.
Between slices of a look the calls of the API have their turn.
"""

import asyncio
import time
from typing import Final

LOOK_S_MAX: Final = 0.25
SLICE_S_MAX: Final = 0.02


class Pace:
    """Lets the calls of the API have their turn, and ends a look in time."""

    def __init__(self) -> None:
        self._turn_s = self._start_s = time.monotonic()

    async def goes_on(self) -> bool:
        """Whether there is time for more; at least one thing is always looked at."""
        await self.let_others()
        return time.monotonic() - self._start_s < LOOK_S_MAX

    async def let_others(self) -> None:
        """Let the calls of the API have their turn, where it is time for that."""
        if time.monotonic() - self._turn_s > SLICE_S_MAX:
            await asyncio.sleep(0)
            self._turn_s = time.monotonic()
