"""Files that are read in whatever process: some of them together are an item, and slices begin anew with each item.

How many rows a text file has is known once it was read. So items are cut by the bytes of whole files, and slices by
rows. One file alone is one item, however large.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Self

from bucket_loader.model import InputBatch, Reading, SlicedRows, sliced
from bucket_loader.sources.files.input_file import InputFile

if TYPE_CHECKING:
    import pyarrow as pa

# Bytes from which on an item is large enough, as its files lie there: some hundred thousand rows, so that what a worker
# or a task of Spark needs to begin with one is little beside it.
ITEM_BYTES: Final = 16 * 1024 * 1024


@dataclass(frozen=True)
class FileItem:
    """Files that are read together.

    Attributes:
        number: its place among the items.
        files: each file, or whatever its reader wants to have of it.
        weight: how many times it has bytes enough, from 1: one large file keeps a process busy for long.
    """

    number: int
    files: tuple[Any, ...]
    weight: int = 1

    def of(self, known: Callable[[Any], Any]) -> Self:
        """Return it with what is known of each file in its place."""
        return replace(self, files=tuple(map(known, self.files)))


@dataclass(frozen=True)
class FileRows:
    """Reads items. It pickles when `rows` does.

    Attributes:
        rows: returns the rows of a file.
    """

    rows: Callable[[Any], Iterator[InputBatch]]

    def read(self, items: Iterable[FileItem]) -> Iterator[InputBatch]:
        """Return the rows of some items, one item behind the other."""
        for item in items:
            yield from sliced((batch for file in item.files for batch in self.rows(file)), item.number)


def items_of(files: Iterable[InputFile]) -> list[FileItem]:
    """Put files together, in order, each item as soon as it has enough bytes."""
    found: list[FileItem] = []
    together: list[InputFile] = []
    size = 0
    for file in files:
        together.append(file)
        size += file.size() or 0
        if size >= ITEM_BYTES:
            found.append(FileItem(len(found), tuple(together), size // ITEM_BYTES))
            together, size = [], 0
    return [*found, FileItem(len(found), tuple(together))] if together else found


def can_travel(files: Iterable[InputFile]) -> bool:
    """Whether other processes can open all of them."""
    return all(file.travels for file in files)


def reading(schema: "pa.Schema", files: Iterable[InputFile], rows: SlicedRows, notes: Sequence[str] = ()) -> Reading:
    """Return the rows of files, for other processes as well where these can open them."""
    return Reading(schema, rows.read(rows.items), tuple(notes), sliced=rows if can_travel(files) else None)
