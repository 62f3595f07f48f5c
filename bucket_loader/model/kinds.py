"""The kinds of records: one row each. Whoever must know how a kind behaves asks its row, never its name.

A new kind is a row here, its two structs in `contract`, and what the emulator does with it.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from bucket_loader.model.syncs import APPEND, CHANGES, FULL, Sync


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of record.

    Attributes:
        name: as the pipeline file writes it, with its article for messages in `a_name`.
        wire: the `type` of an item of /bulk. Source: OA enum; feature-flag-event: OA mapping, NODE, NET.
        path: the endpoint that takes one record alone. Source: S1.
        plural: what the emulator calls many of them.
        does: what sending one does, in a line, for the emulator's description.
        ids: the fields that identify a record, the subject's own first; none where each record is something new.
        syncs: the sync modes that fit; the first is taken where none is written.
        is_legacy: whether the legacy APIs take it too. Source: S2, S4.
        answer_id: the member of the API's answer that names the record; None where there is none.
    """

    name: str
    wire: str
    path: str
    plural: str
    does: str
    ids: tuple[str, ...] = ()
    syncs: tuple[Sync, ...]
    is_legacy: bool = True
    answer_id: str | None = None

    @property
    def ordered(self) -> bool:
        """Whether the last record of a key wins, so that no two of them may overtake each other."""
        return bool(self.ids)

    @property
    def subject(self) -> str:
        """The field that says whom a record is about; only kinds with ids have one."""
        return self.ids[0]

    @property
    def a_name(self) -> str:
        """The name with its article, for messages."""
        return f"an {self.name}" if self.name[0] in "aeio" else f"a {self.name}"


USER: Final = Kind(
    name="user",
    wire="user",
    path="/user",
    plural="users",
    does="Create or update a user",
    ids=("userId",),
    syncs=(CHANGES, FULL),
)
COMPANY: Final = Kind(
    name="company",
    wire="company",
    path="/company",
    plural="companies",
    does="Create or update a company",
    ids=("companyId", "userId"),
    syncs=(CHANGES, FULL),
)
EVENT: Final = Kind(
    name="event",
    wire="event",
    path="/event",
    plural="events",
    does="Tell what a user did",
    syncs=(APPEND, FULL),
)
FEEDBACK: Final = Kind(
    name="feedback",
    wire="feedback",
    path="/feedback",
    plural="feedback",
    does="Give feedback on a feature",
    syncs=(APPEND, FULL),
    answer_id="feedbackId",
)
FEATURE_EVENT: Final = Kind(
    name="feature_event",
    wire="feature-flag-event",
    path="/features/events",
    plural="feature_events",
    does="Tell of evaluations and checks",
    syncs=(APPEND, FULL),
    is_legacy=False,
)

# Streams are delivered in this order, so that an event finds its user and company (DESIGN: "order").
KINDS: Final[dict[str, Kind]] = {kind.name: kind for kind in (USER, COMPANY, EVENT, FEEDBACK, FEATURE_EVENT)}

if TYPE_CHECKING:
    RecordKind: TypeAlias = str
else:  # the names of the rows, for whoever validates a text
    RecordKind = Literal[tuple(KINDS)]
