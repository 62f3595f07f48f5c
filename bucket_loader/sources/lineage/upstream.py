"""Where the rows of a source come from: datasets under the names that other programs give them, and their columns.

The names are those of OpenLineage (https://openlineage.io/docs/spec/naming), so that what a warehouse's own tools say
of a table and what is said here meet. No name holds a user, a password or the options of a URL.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, order=True)
class Dataset:
    """A table or a file.

    Attributes:
        namespace: the database or the store that it lies in.
        name: its name there.
    """

    namespace: str
    name: str


@dataclass(frozen=True, order=True)
class DatasetColumn:
    """A column of a dataset."""

    dataset: Dataset
    column: str


@dataclass(frozen=True)
class Upstream:
    """What a source reads.

    Attributes:
        datasets: all that it reads; none for rows of memory.
        columns: for columns of the source, the columns that each is made from.
        is_whole: whether every other column is the one of the same name, of the one dataset.
        is_every_row: whether its rows are those of the one dataset; a query may leave some out.
    """

    datasets: tuple[Dataset, ...] = ()
    columns: Mapping[str, tuple[DatasetColumn, ...]] = field(default_factory=dict)
    is_whole: bool = False
    is_every_row: bool = False

    def columns_of(self, column: str) -> tuple[DatasetColumn, ...]:
        """Return what a column of the source is made from; nothing where that is not known."""
        if (found := self.columns.get(column)) is not None:
            return found
        return (DatasetColumn(self.datasets[0], column),) if self.is_whole else ()


NOTHING = Upstream()


def only(dataset: Dataset) -> Upstream:
    """Return what a source reads that is one dataset, column for column."""
    return Upstream((dataset,), is_whole=True, is_every_row=True)
