"""A chunk's course as values: what is known of it, what the API did for others, and what may follow.

`delivery.course` says which step does.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from bucket_loader.model.errors import BucketLoaderError
from bucket_loader.model.rows import Reason

JUDGED_AFTER_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class ChunkHistory:
    """What is known of a chunk that is attempted; written by `next_step` alone.

    Attributes:
        attempts: how many were made.
        in_a_row: how many of them since it was first taken, or taken up again: waits grow with these.
        recorded: how many of them the ledger knows of.
        errors: how many met a server error, or were blocked. The throttled and the unsent say nothing of it.
        began: the run's successes when the chunk was first sent; None before that.
        successes_before: the same; for a part of a suspected chunk, when the whole was first sent.
        since_s: when it met the first server error, by the clock of `Served`.
        suspected: whether it is such a part: something in it, or in the part beside it, brings the errors.
        postponed: whether it was set aside before, so that others were tried in its place.
        earlier: whether that was in an earlier call, which had no witness.
        trust: how many hints may be followed untried; negative when one has proved false: then none is followed.
    """

    attempts: int = 0
    in_a_row: int = 0
    recorded: int = 0
    errors: int = 0
    began: int | None = None
    successes_before: int = 0
    since_s: float | None = None
    suspected: bool = False
    postponed: bool = False
    earlier: bool = False
    trust: int = 0


NEW: Final = ChunkHistory()


@dataclass(frozen=True, slots=True)
class Served:
    """What the API did for others, at the moment of an outcome.

    Attributes:
        successes: how many requests of this run it has served: each is a witness that it is no outage.
        when_sent: the same, at the moment when this attempt was sent.
        error_rate: the share of first attempts that met a server error lately.
        stopped: whether the run is to end.
        out_of_patience: whether nothing was served for as long as `patience`.
        patience_left_s: seconds until that is so, when nothing is served meanwhile.
        now_s: the time in seconds.
        may_set_aside: whether this chunk may come after all others that do not share its ids.
        last: whether it is among the last: nothing else is left to be tried in its place.
        reads: whether the host answers a read while it fails to write.
        ending: what the run ends with at once, whatever is left of patience: nothing is there to be waited for.
    """

    successes: int = 0
    when_sent: int = 0
    error_rate: float = 0.0
    stopped: bool = False
    out_of_patience: bool = False
    patience_left_s: float = math.inf
    now_s: float = 0.0
    may_set_aside: bool = False
    last: bool = False
    reads: bool = False
    ending: BucketLoaderError | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """What a stream asks for.

    Attributes:
        hold: an ambiguous outcome is final: at most once.
        patience_s: how long an outage is waited out, in seconds; for the message.
        backoff_s: the seconds to wait after so many attempts in a row, when the server does not say.
        judged_after_s: for how many seconds a single record has to fail before it is blamed for server errors.
    """

    hold: bool = False
    patience_s: float = 0.0
    backoff_s: Callable[[int], float] = lambda _attempts: 0.0
    judged_after_s: float = JUDGED_AFTER_S


# --- what may follow ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Step:
    """What is to be done with a chunk.

    Attributes:
        attempts: those that the ledger does not know of yet.
    """

    attempts: int


@dataclass(frozen=True, slots=True)
class Delivered(Step):
    """It arrived."""


@dataclass(frozen=True, slots=True)
class Again(Step):
    """It is sent again.

    Attributes:
        wait_s: seconds to wait before, at the least.
        spread_s: up to so many seconds more, by chance, so that workers do not come together.
        ambiguous: it may have arrived: that has to be on record before it is sent again.
    """

    wait_s: float
    spread_s: float
    ambiguous: bool


@dataclass(frozen=True, slots=True)
class Split(Step):
    """It is replaced by two parts; `after_first` says what follows for the second.

    Attributes:
        parts: their positions in the chunk; together they are all of it.
        blame: it was refused, so when the first part passes, the second holds what was refused.
        history: what is known of each part from the start.
        alone: whether the first part is a record that an answer named.
        named: what else it named, as positions in the second part.
    """

    parts: tuple[list[int], list[int]]
    blame: bool
    history: ChunkHistory
    alone: bool = False
    named: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Rejected(Step):
    """Its one record goes to the dead letters."""

    reason: Reason


@dataclass(frozen=True, slots=True)
class SetAside(Step):
    """It comes after all others that do not share its ids: what is sent in its place shows whether it is an outage.

    Attributes:
        error: what the run ends with when nobody is served.
    """

    error: BucketLoaderError | None = None


@dataclass(frozen=True, slots=True)
class Held(Step):
    """It may have arrived, and a person decides.

    Attributes:
        error: what the run ends with; None when it goes on.
    """

    error: BucketLoaderError | None = None


@dataclass(frozen=True, slots=True)
class Left(Step):
    """It stays for a later run.

    Attributes:
        error: what the run ends with; None when it was asked to end.
    """

    error: BucketLoaderError | None
