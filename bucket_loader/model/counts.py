"""Where the rows of a stream went, as numbers: the one list of counts.

The plan, the ledger's columns and the SELECT that adds them up, the summary, `--json` and the metrics all follow this
list. A new count is a field here, and a number where planning counts it, or a condition on the ledger's chunks.
"""

from dataclasses import asdict, dataclass, field, fields
from typing import Any, Final, Literal


@dataclass(frozen=True)
class Count:
    """What is known of one count.

    Attributes:
        name: its field in `Counts`.
        says: what it counts, for the metrics.
        side: where it stands when all rows are added up: `in` are those that came, `out` is where each of them went; a
            count on neither side is a part of others.
        column: where planning counts it, its place among the columns of ledger and plan; a new one goes last.
        chunks: where delivery counts it, which of the ledger's chunks have its records: SQL over `chunk`.
        shown: when a person's table has a column for it.
    """

    name: str
    says: str
    side: Literal["in", "out"] | None = None
    column: int | None = None
    chunks: str | None = None
    shown: Literal["always", "when any", "never"] = "when any"

    @property
    def is_later(self) -> bool:
        """Whether the first ledgers and plans lack it; it is 0 there."""
        return self.column is not None and self.column > _FIRST_COLUMNS


_FIRST_COLUMNS: Final = 5


def _count(says: str, **rule: Any) -> Any:  # noqa: ANN401  # a field, which type checkers take for its default
    return field(default=0, metadata={"says": says, **rule})


@dataclass(frozen=True)
class Counts:
    """Where every row of a stream went. Promise: those that came are as many as those that went somewhere."""

    read: int = _count("Rows that were read", side="in", column=1, shown="always")
    removed: int = _count("Rows made for what vanished from the source", side="in", column=6)
    delivered: int = _count("Records that were delivered", side="out", chunks="c.state = 'delivered'", shown="always")
    rejected: int = _count(
        "Rows and records that were rejected; they are in the dead letters",
        side="out", column=2, chunks="c.state IN ('rejected', 'dropped')", shown="always",
    )  # fmt: skip
    refused_before: int = _count("Rejected rows that were refused before and not sent again", column=7)
    unchanged: int = _count("Rows that were known already", side="out", column=5)
    superseded: int = _count(
        "Rows that a later row of the same key replaced", side="out", column=4, chunks="c.state = 'superseded'"
    )
    filtered: int = _count("Rows that `where:` left out", side="out", column=3)
    pending: int = _count("Records that are still to be sent", side="out")  # those of the plan of which nothing became
    unknown: int = _count(
        "Records that were sent and not answered",
        chunks="c.state IN ('intent', 'held') OR (c.state = 'queued' AND c.ambiguous > 0 AND c.status IS NULL)",
    )
    possibly_duplicated: int = _count(
        "Records that may have been applied twice",
        chunks="(c.state IN ('delivered', 'rejected') AND c.ambiguous > 0) "
        "OR (c.state = 'dropped' AND c.ambiguous > 1) OR (c.state = 'superseded' AND c.ambiguous > 0)",
        shown="never",
    )

    def conserved(self) -> bool:
        """Whether every row is accounted for exactly once."""
        values: dict[str, int] = asdict(self)
        came, went = (sum(values[count.name] for count in COUNTS if count.side == side) for side in ("in", "out"))
        return came == went

    def __add__(self, other: "Counts") -> "Counts":
        values = asdict(other)
        return Counts(**{name: value + values[name] for name, value in asdict(self).items()})


COUNTS: Final = tuple(Count(one.name, **one.metadata) for one in fields(Counts))
PLANNED: Final = tuple(sorted((count for count in COUNTS if count.column), key=lambda count: count.column or 0))
SENT: Final = tuple(count for count in COUNTS if count.chunks)
