"""The conformance suite: what every source promises, whoever wrote it."""

from abc import ABC, abstractmethod
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any, cast

from bucket_loader.config import source_from
from bucket_loader.model import ROWS_MAX, Source
from bucket_loader.sources import SourceContext, open_source as opened
from bucket_loader.testing.read import Read

Columns = Mapping[str, list[Any]]
"""Two columns of text, `id` and `name`, with N values each; a name may be None."""


def open_source(words: Mapping[str, Any], folder: Path, **context: Any) -> Source:  # noqa: ANN401  # the context's own
    """Return the source of the words that a pipeline file would have, with paths that start from a folder.

    Args:
        words: `type:` and the others.
        folder: where the pipeline file would lie.
        context: more of what `SourceContext` holds, for example `parameters={"as_of": moment}`.

    Raises:
        ValueError: the words are wrong.
    """
    return opened(source_from(words), SourceContext(folder, **context))


def columns(count: int, first: str = "00001") -> dict[str, list[Any]]:
    """Return N rows of text whose spelling no guess would keep."""
    ids = [first, *(f"{number:05}" for number in range(2, count + 1))][:count]
    return {"id": ids, "name": [None if number % 3 == 0 else f"né, {number}" for number in range(count)]}


class SourceSuite(ABC):
    """Tests of one source type: a class that is named `Test...` and has `make`.

    Attributes:
        shows_changes: whether the fingerprint changes with the content. That of a database server need not: one query
            sees one state of its data, so nothing can change while it is read.
    """

    shows_changes = True

    @abstractmethod
    def make(self, folder: Path, columns: Columns) -> Source:
        """Put the columns where the source reads them, in place of what is there, and return the source."""

    def test_rows_and_numbers(self, tmp_path: Path) -> None:
        """The same ten rows give the same columns and values, numbered from 1."""
        given = columns(10)

        read = Read(self.make(tmp_path, given))

        assert read.schema.names == ["id", "name"]
        assert given == {name: read.column(name) for name in given}
        assert (list(range(1, 11)), []) == (read.ordinals, read.unread)
        assert all(batch.source for batch in read.batches)

    def test_many_rows(self, tmp_path: Path) -> None:
        """More rows than a batch may have come in several, none lost, none twice, in order."""
        given = columns(ROWS_MAX + 7)

        read = Read(self.make(tmp_path, given))

        assert given["id"] == read.column("id")
        assert list(range(1, ROWS_MAX + 8)) == read.ordinals
        assert len(read.batches) > 1

    def test_reading_twice(self, tmp_path: Path) -> None:
        """Two readings give equal batches."""
        source = self.make(tmp_path, columns(3000))

        one, other = Read(source), Read(source)

        assert one.schema == other.schema
        assert [batch.data for batch in one.batches] == [batch.data for batch in other.batches]
        assert one.ordinals == other.ordinals

    def test_no_rows(self, tmp_path: Path) -> None:
        """A source without rows has its columns."""
        read = Read(self.make(tmp_path, columns(0)))

        assert (read.schema.names, read.rows) == (["id", "name"], [])

    def test_fingerprint(self, tmp_path: Path) -> None:
        """The fingerprint outlasts a reading, and changes with the content."""
        source = self.make(tmp_path, columns(10))
        before = source.fingerprint()

        Read(source)

        assert before == source.fingerprint()
        if self.shows_changes:
            assert before != self.make(tmp_path, columns(10, first="99999")).fingerprint()

    def test_stopping_early(self, tmp_path: Path) -> None:
        """Whoever wants no more rows leaves nothing open."""
        source = self.make(tmp_path, columns(ROWS_MAX + 7))

        batches = cast("Generator[Any]", source.read().batches)
        assert next(batches).data.num_rows > 0
        batches.close()

        assert len(Read(source).rows) == ROWS_MAX + 7
