"""A page as a value: a notebook shows it, and it can be saved."""

import os
from dataclasses import dataclass, field
from pathlib import Path

from bucket_loader.model import written_whole
from bucket_loader.reporting.html import element


@dataclass(frozen=True)
class Document:
    """A page that stands alone.

    Attributes:
        html: the whole of it.
        has_rows: whether it shows rows: then its file is for its owner alone.
    """

    html: str = field(repr=False)
    has_rows: bool = False

    def save(self, file: str | Path) -> None:
        """Write it to a file; one that is there is replaced.

        Raises:
            OSError: the disk refuses; what was there before is still there.
        """
        with written_whole(Path(file)) as page:
            page.write(self.html.encode("utf-8", "replace"))
            if not self.has_rows:
                os.fchmod(page.fileno(), 0o666 & ~_umask())

    def _repr_html_(self) -> str:
        """Return what a notebook shows: a frame of its own, since its style is not the notebook's."""
        return element("iframe", srcdoc=self.html, title="report", sandbox="", width="100%", height=720, frameborder=0)


def _umask() -> int:
    """Return which permissions new files lack."""
    found = os.umask(0o077)
    os.umask(found)
    return found
