"""The Arrow types of an SQLite query's columns: each holds every value as it is, and SQLite types each value alone.

What the first rows have is a guess. One question tells whether any other row needs another type, at a third of the cost
of asking for the types of all values, which is what follows then.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from bucket_loader.model import SourceError
from bucket_loader.sources.databases.sqlite_values import EXACT, TEXT

if TYPE_CHECKING:
    import pyarrow as pa

Ask = Callable[[str], list[tuple[Any, ...]]]
"""Runs a SELECT over `__rows`, whose columns are `c0`, `c1` ...; returns its rows."""

# Columns looked at in one pass: two values each, and SQLite gives 2,000 at most; and joins 1,000 conditions.
_COLUMNS_AT_ONCE: Final = 900
_WORDS: Final = {bytes: "blob", int: "integer", float: "real", TEXT: "text"}


@dataclass(frozen=True)
class Column:
    """A column: its name, and which of SQLite's types its values have.

    Attributes:
        name: as the query gives it.
        first: the first of its types in the alphabet: blob, integer, real, text; None where all values are null.
        last: the last of them.
        rounded: whether a float would round one of its integers; looked at only beside reals.
    """

    name: str
    first: str | None
    last: str | None
    rounded: bool = False

    @property
    def mixed(self) -> bool:
        """Whether it has integers and reals, and nothing else."""
        return (self.first, self.last) == ("integer", "real")

    def type(self, file: str) -> "pa.DataType":
        """Choose the Arrow type that holds every value as it is.

        Numbers among texts become texts; so do reals among integers that a float would round.
        """
        import pyarrow as pa

        if self.first == "blob":
            if self.last != "blob":
                raise SourceError(
                    f"{file}: the column {self.name!r} has blobs among other values",
                    hint="say in the query how they are meant, for example hex(x) or cast(x as text)",
                )
            return pa.binary()
        if self.last in {None, "text"} or self.rounded:
            return pa.string()
        return pa.int64() if self.last == "integer" else pa.float64()

    def keeps(self, name: str) -> str:
        """Return SQL that is true for each value beside which the column's type stays what it is."""
        if self.last is None:
            return f"{name} IS NULL"
        if self.last == "text" or self.rounded:
            return f"typeof({name}) <> 'blob'"
        if self.mixed:
            return f"({name} IS NULL OR typeof({name}) = 'real' OR typeof({name}) = 'integer' AND {_small(name)})"
        return f"(typeof({name}) = '{self.first}' OR {name} IS NULL)"


def columns_of(names: Sequence[str], head: Sequence[Sequence[Any]], *, whole: bool, ask: Ask) -> list[Column]:
    """Find what a query's columns have.

    Args:
        names: of the columns.
        head: the values of each column in the first rows.
        whole: whether there are no other rows.
        ask: asks about all rows.

    Raises:
        SourceError: the query fails.
    """
    guessed = [_guessed(name, values) for name, values in zip(names, head, strict=True)]
    return guessed if whole or _all_keep(guessed, ask) else _looked_at(names, ask)


def _guessed(name: str, values: Sequence[Any]) -> Column:
    found = set(map(type, values)) - {type(None)}
    words = sorted(_WORDS[kind] for kind in found)
    rounded = found == {int, float} and any(abs(value) > EXACT for value in values if isinstance(value, int))
    return Column(name, words[0], words[-1], rounded) if words else Column(name, None, None)


def _all_keep(columns: Sequence[Column], ask: Ask) -> bool:
    for start in range(0, len(columns), _COLUMNS_AT_ONCE):
        some = columns[start : start + _COLUMNS_AT_ONCE]
        kept = " AND ".join(column.keeps(f"c{start + place}") for place, column in enumerate(some))
        if ask(f"SELECT 1 FROM __rows WHERE NOT ({kept}) LIMIT 1"):
            return False
    return True


def _looked_at(names: Sequence[str], ask: Ask) -> list[Column]:
    """Look at all values. Columns are named by their places: SQLite does not tell `Email` from `email`."""
    columns = []
    for start in range(0, len(names), _COLUMNS_AT_ONCE):
        some = names[start : start + _COLUMNS_AT_ONCE]
        asked = [_types(f"c{start + place}") for place in range(len(some))]
        (found,) = ask(f"SELECT {', '.join(asked)} FROM __rows")
        words = [None if word is None else word.decode() for word in found]
        columns += [Column(*column) for column in zip(some, words[::2], words[1::2], strict=True)]
    mixed = [place for place, column in enumerate(columns) if column.mixed]
    if mixed:
        asked = [f"max(typeof(c{place}) = 'integer' AND NOT {_small(f'c{place}')})" for place in mixed]
        (found,) = ask(f"SELECT {', '.join(asked)} FROM __rows")
        for place, rounded in zip(mixed, found, strict=True):
            columns[place] = replace(columns[place], rounded=bool(rounded))
    return columns


def _types(name: str) -> str:
    """Ask for the first and the last type of a column's values, as words; `Column` takes them in this order."""
    word = f"nullif(typeof({name}), 'null')"
    return f"min({word}), max({word})"


def _small(name: str) -> str:
    return f"{name} BETWEEN -{EXACT} AND {EXACT}"
