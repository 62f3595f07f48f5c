"""Names that `exclude:` leaves out of JSON and maps, held against the rows: a name that no row has may be misspelt."""

from collections.abc import Iterable
from contextlib import suppress
from copy import copy
from typing import Final

import pyarrow as pa

from bucket_loader.model import UsageError, nearest
from bucket_loader.planning.mapping.nested import spelling
from bucket_loader.planning.mapping.nested.spelling import Flattened, NoFormError
from bucket_loader.planning.mapping.paths import names_inside, paths_of

_ROWS_LISTED: Final = 64  # of each batch: names in them may be those that were meant
_NAMES_MAX: Final = 1_000


class Excluded:
    """What `exclude:` leaves out of columns whose members only the rows have, as far as no row had it yet.

    Attributes:
        left: the names that no row had.
        rows: how many rows were looked at.
        there: names that rows have, by the column that they are in.
    """

    def __init__(self, stream: str, names: Iterable[str], schema: pa.Schema) -> None:
        self._stream = stream
        self._named = tuple(names)
        members = frozenset(names_inside(schema))
        self.left = [
            path for path in paths_of(self._named, schema) if path.name not in members and not self._is_moot(path.name)
        ]
        self.rows = 0
        self.there: dict[str, set[str]] = {}

    def __add__(self, other: "Excluded") -> "Excluded":
        """Return what is left after two pieces of the rows, whichever of them came first."""
        found = copy(self)
        found.left = [path for path in self.left if path in other.left]
        found.rows += other.rows
        found.there = {
            path.column: set(sorted(self.names_in(path.column) | other.names_in(path.column))[:_NAMES_MAX])
            for path in found.left
        }
        return found

    def look(self, data: pa.RecordBatch) -> None:
        """Take note of the rows of a batch."""
        if not self.left:
            return
        self.rows += data.num_rows
        self.left = [path for path in self.left if not path.is_met(data)]
        for column in {path.column for path in self.left}:
            self._list(column, data.column(column).slice(0, _ROWS_LISTED))

    def unmet(self) -> list[str]:
        """Say of each name at which no row had a value what there is to say.

        Raises:
            UsageError: such a name is there with other capitals.
        """
        unmet = [path.name for path in self.left] if self.rows else []
        met = {name.lower() for name in self._named if name not in unmet}  # in one of the spellings that are excluded
        names = [name for name in unmet if name.lower() not in met]
        folded = {name.lower(): name for name in sorted(self._sent())}
        for name in names:
            if (other := folded.get(name.lower())) is not None:
                raise UsageError(
                    f"stream {self._stream!r}: `exclude:` names {name!r}, which no row has, and {other!r} is there",
                    hint=f"write {other}: capitals count",
                )
        return [self._sentence(name) for name in names]

    def _sentence(self, name: str) -> str:
        """Say that a name was not met, and which may be meant."""
        near = nearest(name, self._sent())
        meant = f"; is {near!r} meant, which is sent?" if near is not None else ""
        return f"`exclude:` names {name!r}, and no row has a value there{meant}"

    def _is_moot(self, name: str) -> bool:
        """Whether a name is left out anyhow, with all that is around it."""
        return any(name.startswith(f"{other}.") for other in self._named)

    def _list(self, column: str, values: pa.Array) -> None:
        """Keep the names that some values have inside of them."""
        for value in spelling.python_values(values):
            with suppress(NoFormError):
                found = spelling.parse(value) if isinstance(value, str) else value
                for name, _ in Flattened(keep=True).leaves(column, found):
                    self._add(name, below=column)

    def _add(self, name: str, *, below: str) -> None:
        """Keep a name, and those of the objects that it is in. Of too many the first stay, as the alphabet has them."""
        there = self.there.setdefault(below, set())
        while len(name) > len(below) and name not in there:
            there.add(name)
            if len(there) > _NAMES_MAX:
                there.discard(max(there))
            name = name.rpartition(".")[0]

    def names_in(self, column: str) -> set[str]:
        """Return names that rows have inside of a column."""
        return self.there.get(column, set())

    def _sent(self) -> set[str]:
        """Return the names that are there and in nothing that is excluded, where a name was not met."""
        out = tuple(f"{name}." for name in self._named)
        columns = {path.column for path in self.left}
        return {name for column in columns for name in self.names_in(column) if not f"{name}.".startswith(out)}
