"""Where the rows of a stream went, as numbers."""

from dataclasses import dataclass


@dataclass
class Counts:
    """Where every row of a stream went. Promise: read + removed = all the others but the last two."""

    read: int = 0
    removed: int = 0
    delivered: int = 0
    rejected: int = 0
    unchanged: int = 0
    superseded: int = 0
    filtered: int = 0
    pending: int = 0
    unknown: int = 0
    possibly_duplicated: int = 0

    def conserved(self) -> bool:
        """Tell whether every row is accounted for exactly once."""
        ended = self.delivered + self.rejected + self.unchanged + self.superseded + self.filtered + self.pending
        return self.read + self.removed == ended
