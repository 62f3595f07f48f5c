"""A nested value in SQL: the member of each value that stands in it, and the statement that spells a batch of them."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bucket_loader.model import literal


@dataclass(frozen=True)
class Leaf:
    """A value inside of others, or all entries of a map, as it is spelt.

    Attributes:
        name: dotted; that of a map ends with the dot that is before its keys.
        value: SQL for its JSON text; NULL where nothing is spelt. None where nothing ever is.
        there: SQL for whether it is spelt.
        opening: what is spelt before the value.
        certain: SQL for whether this is how Python spells it; None where it always is.
        length: SQL for how many items it has; None where it is no list.
    """

    name: str
    value: str | None = None
    there: str = "false"
    opening: str = ""
    certain: str | None = None
    length: str | None = None

    @property
    def member(self) -> list[str]:
        """SQL for what is spelt of it, with a comma before it, in pieces that are NULL where nothing is."""
        if self.value is None:
            return []
        # Not joined by `||`: to make another text of each member takes longer than to join all pieces.
        return [f"CASE WHEN {self.there} THEN {literal(',' + self.opening)} END", self.value]


def opening_of(name: str) -> str:
    """Return what is spelt before a value with a name."""
    return json.dumps(name, ensure_ascii=False) + ":"


@dataclass(frozen=True)
class Statement:
    """A SELECT over a batch: `text`, `sure`, `n<k>` (the lengths of the lists), and what else is asked.

    Attributes:
        columns: what it selects.
        levels: what each level adds to the one before it; the first is a table of one column, `c`.
        lists: the dotted names of the lists, in the order of their lengths.
        names: how many names it has.
    """

    columns: tuple[str, ...]
    levels: tuple[Sequence[str], ...]
    lists: tuple[str, ...]
    names: int

    def over(self, table: str) -> str:
        """Return its text over a table."""
        level = table
        for added in self.levels:
            level = f"(SELECT {', '.join(['*', *added])} FROM {level})"
        return f"SELECT {', '.join(self.columns)} FROM {level}"


def statement(
    leaves: Iterable[Leaf], levels: Iterable[Sequence[str]], sure: Iterable[str], also: Iterable[str] = ()
) -> Statement:
    """Return the statement that spells leaves.

    Args:
        leaves: in any order.
        levels: what each level adds to the one before it.
        sure: what must be true of a row, besides what is certain of each leaf.
        also: other columns.
    """
    leaves = sorted(leaves, key=lambda leaf: leaf.name)
    pieces = [piece for leaf in leaves for piece in leaf.member]
    text = f"nullif(ltrim(concat({', '.join(pieces)}), ','), '')" if pieces else "CAST(NULL AS VARCHAR)"
    certain = [*sure, *(f"({leaf.certain})" for leaf in leaves if leaf.certain is not None)]
    lists = [(leaf.name, leaf.length) for leaf in leaves if leaf.length is not None]
    lengths = [f"{length} AS n{place}" for place, (_, length) in enumerate(lists)]
    return Statement(
        columns=(f"{text} AS text", f"coalesce({' AND '.join(certain)}, false) AS sure", *lengths, *also),
        levels=tuple(added for added in levels if added),
        lists=tuple(name for name, _ in lists),
        names=len(leaves),
    )
