"""The sync modes: one row each. Whoever must know how a mode behaves asks its row, never its name.

A new mode is a row here, and its name in the rows of the kinds that it fits (`kinds`).
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias


@dataclass(frozen=True, slots=True)
class Sync:
    """How a stream decides which of its records are sent.

    What identifies a record is not the mode's: it is the kind's ids, else the stream's `key:`, else the content.

    Attributes:
        name: as the pipeline file writes it.
        remembers: whether the stream keeps a memory of what was delivered, and asks it.
        compares: whether a record that is known is sent again when its content has changed.
    """

    name: str
    remembers: bool
    compares: bool

    @property
    def once(self) -> bool:
        """Whether a record that is known is never sent again, whatever it holds now."""
        return self.remembers and not self.compares


FULL: Final = Sync("full", remembers=False, compares=False)
APPEND: Final = Sync("append", remembers=True, compares=False)
CHANGES: Final = Sync("changes", remembers=True, compares=True)

SYNCS: Final[dict[str, Sync]] = {sync.name: sync for sync in (FULL, APPEND, CHANGES)}

if TYPE_CHECKING:
    SyncMode: TypeAlias = str
else:  # the names of the rows, for whoever validates a text
    SyncMode = Literal[tuple(SYNCS)]
