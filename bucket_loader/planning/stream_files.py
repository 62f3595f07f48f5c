"""The files of one stream while it is planned; of all these, a finished plan has the parts and what waits."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bucket_loader.state import records_file, waiting_file

COMPARED: Final = "{}.compared"  # the folder of a stream's comparing


@dataclass(frozen=True)
class StreamFiles:
    """The names of a stream's files.

    Attributes:
        folder: the plan's.
        position: the stream's place in the plan.
        name: the stream's.
    """

    folder: Path
    position: int
    name: str

    @property
    def base(self) -> Path:
        """What the names of staged files begin with."""
        return self.folder / f"{self.position:02d}"

    @property
    def removals(self) -> Path:
        """The records of rows that were removed; only there when there are any."""
        return self.base.with_suffix(".removals")

    @property
    def removed(self) -> Path:
        """The keys and ids of rows that were removed."""
        return self.base.with_suffix(".removed")

    @property
    def compared(self) -> Path:
        """The folder of what comparing writes."""
        return self.folder / COMPARED.format(self.base.name)

    @property
    def waiting(self) -> Path:
        """The rows that were refused before and are not sent."""
        return self.folder / waiting_file(records_file(self.position, self.name))

    def part(self, number: int) -> Path:
        """Return a part of the plan."""
        return self.folder / records_file(self.position, self.name, number)

    def clear(self) -> None:
        """Remove what a finished plan has not."""
        shutil.rmtree(self.compared, ignore_errors=True)
        self.removals.unlink(missing_ok=True)
