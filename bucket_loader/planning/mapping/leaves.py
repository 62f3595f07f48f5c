"""A nested value in SQL: the member of each value that stands in it, and the statement that spells a batch of them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Leaf:
    """A value inside of others, or all entries of a map, as it is spelt.

    Attributes:
        name: dotted; that of a map ends with the dot that is before its keys.
        member: SQL for what is spelt of it, with its name; NULL where nothing is. None where nothing ever is.
        certain: SQL for whether this is how Python spells it; None where it always is.
        length: SQL for how many items it has; None where it is no list.
    """

    name: str
    member: str | None
    certain: str | None = None
    length: str | None = None


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
    members = [leaf.member for leaf in leaves if leaf.member is not None]
    text = f"nullif(concat_ws(',', {', '.join(members)}), '')" if members else "CAST(NULL AS VARCHAR)"
    certain = [*sure, *(f"({leaf.certain})" for leaf in leaves if leaf.certain is not None)]
    lists = [(leaf.name, leaf.length) for leaf in leaves if leaf.length is not None]
    lengths = [f"{length} AS n{place}" for place, (_, length) in enumerate(lists)]
    return Statement(
        columns=(f"{text} AS text", f"coalesce({' AND '.join(certain)}, false) AS sure", *lengths, *also),
        levels=tuple(added for added in levels if added),
        lists=tuple(name for name, _ in lists),
        names=len(leaves),
    )
