"""The share of requests that are refused whatever the rate: by chance, by a balancer, by one sick server of several.

Such refusals say nothing of the rate. Twice the rate tells them from a limit's: a limit refuses at least half of that,
and chance refuses no larger share than before.
"""

import math
from typing import Final

SHARE_MAX: Final = 0.4  # what is refused more often is not looked at: it is a limit, or an outage
MEMORY: Final = 50  # requests that what was known before counts as
SIGMAS: Final = 2.5
FORGOTTEN: Final = 0.004  # a share that is less is none


class Chance:
    """The share of refusals that the rate does not change; 0 until it was shown that there are such."""

    def __init__(self) -> None:
        self.share = 0.0

    def explains(self, refused: int, requests: int) -> bool:
        """Whether so many refusals may be chance alone."""
        mean = self.share * requests
        return self.share > 0 and refused <= mean + SIGMAS * math.sqrt(mean * (1 - self.share)) + 1

    def learn(self, refused: int, requests: int) -> None:
        """Take in what was seen where no limit refuses."""
        share = (self.share * MEMORY + refused) / (MEMORY + requests)
        self.share = 0.0 if share < FORGOTTEN else min(share, SHARE_MAX)

    def suppose(self, refused: int, requests: int) -> None:
        """Begin with what was seen at half the rate, and rather with too much than too little."""
        self.share = min((refused + 2 * math.sqrt(refused)) / requests, SHARE_MAX)
