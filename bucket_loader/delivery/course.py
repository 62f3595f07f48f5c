"""What follows from an answer: a chunk's course, as a value.

No thread, no clock, no ledger and no socket is known here. A worker sends a chunk, asks `next_step` what follows from
the outcome, and does that.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from bucket_loader.model import (
    BucketLoaderError,
    Chunk,
    KeyRefusedError,
    MisroutedError,
    Outcome,
    PatienceError,
    Reason,
    Verdict,
    cut,
    named_in,
)

# Server errors after which a chunk is suspected itself. It is judged only when others succeed meanwhile.
SUSPICIOUS_AFTER: Final = 4
SUSPICIOUS_ALONE_AFTER: Final = 6  # a single record ends in the dead letters, so it is given more
SUSPECTED_EARLIER: Final = 2  # fewer for a part of a chunk that was suspected
CHANCE_MAX: Final = 1e-6  # bad luck must be less likely than this before a single record is blamed
TRUST: Final = 4  # hints that are followed untried after one was right: a server may name one record at a time
NO_TRUST: Final = -1
THROTTLED_PART: Final = 0.1  # of the wait after an error, for a 429 that names no time: the pacing sees to the rate
_CODES: Final = {Verdict.TOO_BIG: "too_large", Verdict.SERVER_ERROR: "server_error", Verdict.BLOCKED: "blocked"}
FAILED: Final = frozenset({Verdict.SERVER_ERROR, Verdict.BLOCKED})  # of the chunk itself only if others are served


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
        suspected: whether it is such a part: something in it, or in the part beside it, brings the errors.
        postponed: whether it was put off before, so that others were tried in its place.
        trust: how many hints may be followed untried; negative when one has proved false: then none is followed.
    """

    attempts: int = 0
    in_a_row: int = 0
    recorded: int = 0
    errors: int = 0
    began: int | None = None
    successes_before: int = 0
    suspected: bool = False
    postponed: bool = False
    trust: int = 0


NEW: Final = ChunkHistory()


@dataclass(frozen=True, slots=True)
class Served:
    """What the API did for others, at the moment of an outcome.

    Attributes:
        successes: how many requests of this run it has served.
        when_sent: the same, at the moment when this attempt was sent.
        error_rate: the share of first attempts that met a server error lately.
        stopped: whether the run is to end.
        out_of_patience: whether nothing was served for as long as `patience`.
        patience_left_s: seconds until that is so, when nothing is served meanwhile.
        may_postpone: whether this chunk may come after those that follow it.
    """

    successes: int = 0
    when_sent: int = 0
    error_rate: float = 0.0
    stopped: bool = False
    out_of_patience: bool = False
    patience_left_s: float = math.inf
    may_postpone: bool = False


@dataclass(frozen=True, slots=True)
class Policy:
    """What a stream asks for.

    Attributes:
        hold: an ambiguous outcome is final: at most once.
        patience_s: how long an outage is waited out, in seconds; for the message.
        backoff_s: the seconds to wait after so many attempts in a row, when the server does not say.
    """

    hold: bool = False
    patience_s: float = 0.0
    backoff_s: Callable[[int], float] = lambda _attempts: 0.0


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
class Postponed(Step):
    """It comes after all others: what is sent in its place shows whether it is an outage."""


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


# --- what follows ---------------------------------------------------------------------------------------------------


def next_step(
    chunk: Chunk, history: ChunkHistory, outcome: Outcome, served: Served, policy: Policy
) -> tuple[Step, ChunkHistory]:
    """Return what follows from an attempt's outcome, and what is known of the chunk from now on.

    | verdict | what happened | what follows |
    |---|---|---|
    | delivered | 200 to our own POST, the whole body was written, and the answer is a JSON object whose `success` is true | done |
    | not_sent | no byte of the request left this machine | sent again |
    | throttled | 429, or 503 with Retry-After | sent again, as late as the server asks (at most 300 s); a 503 may have been applied, so it is named, or held, as a server error is |
    | server_error | 408, or another 5xx; or 400, 413 or 422 with a page instead of JSON | named, since it may be applied twice, and sent again; held with `on_unknown: hold`; when it goes on while others are served, the chunk is halved, and a single record is rejected |
    | unknown | the request was sent, and no answer came that can be read; or a status from 100 to 299 other than 200 | named and sent again; held with `on_unknown: hold` |
    | rejected | 400 or 422 with a JSON object; or 200 with `success: false` | cut into parts until each refused record stands alone; that one is rejected |
    | too_big | 413 with a JSON object | halved; a single record is rejected |
    | blocked | 401 or 403 with a page instead of JSON; or another 4xx, as 404, 405, 409 or 415 | others are tried in its place; when they are served, the chunk is halved, and a single record is rejected, as with server errors; when nobody is, the run ends with 5, and nothing is dead-lettered |
    | refused_key | 401 or 403 with a JSON object; or 400 or 422 with the code `INVALID_API_KEY` | left; the run ends with 5, and nothing is dead-lettered |
    | misrouted | a redirect, a certificate that is not valid, or 200 with an answer that is not Bucket's | left, and named when the body was sent, since it may have been applied; held with `on_unknown: hold`; the run ends with 5, and nothing is dead-lettered |

    What is sent again is left instead when the run is asked to end; when nothing was served for as long as `patience`;
    or when the API asks for a wait that is longer than what is left of it. In the last two cases the run ends with 75.
    """  # noqa: E501  # a row of the table is a line, here and in the docs
    if outcome.verdict is Verdict.DELIVERED:
        return arrived(history), history
    history = _counted(history, outcome, served)
    step = _step(chunk, history, outcome, served, policy)
    return step, _known_after(step, history)


def arrived(history: ChunkHistory) -> Delivered:
    """Return the step of a chunk that was delivered, for which nothing else has to be known."""
    return Delivered(history.attempts + 1 - history.recorded)


def _counted(history: ChunkHistory, outcome: Outcome, served: Served) -> ChunkHistory:
    first = history.began is None
    return replace(
        history,
        attempts=history.attempts + 1,
        in_a_row=history.in_a_row + 1,
        errors=history.errors + (outcome.verdict in FAILED),
        began=served.when_sent if first else history.began,
        successes_before=served.when_sent if first and not history.suspected else history.successes_before,
    )


def _known_after(step: Step, history: ChunkHistory) -> ChunkHistory:
    if isinstance(step, Again) and not step.ambiguous:
        return history  # nothing is recorded before it is sent again
    if isinstance(step, Postponed):
        return replace(history, recorded=history.attempts, in_a_row=0, postponed=True)
    return replace(history, recorded=history.attempts)


def _step(chunk: Chunk, history: ChunkHistory, outcome: Outcome, served: Served, policy: Policy) -> Step:
    several, made = len(chunk.sequences) > 1, history.attempts - history.recorded
    match outcome.verdict:
        case Verdict.REJECTED if several:
            named = named_in(outcome.details, len(chunk.sequences)) if history.trust >= 0 else ()
            known = replace(NEW, trust=history.trust)
            return _split(Split(made, ([], []), blame=True, history=known, named=named), chunk)
        case Verdict.TOO_BIG if several:
            return _split(Split(made, ([], []), blame=False, history=NEW), chunk)
        case Verdict.REJECTED | Verdict.TOO_BIG:
            return Rejected(made, reason_of(outcome))
        case _ if outcome.ambiguous and policy.hold:
            ends = outcome.verdict is Verdict.MISROUTED
            return Held(made, leave(history, outcome, served, policy).error if ends else None)
        case Verdict.REFUSED_KEY | Verdict.MISROUTED:
            return leave(history, outcome, served, policy)
        case _ if served.stopped or served.out_of_patience:
            return leave(history, outcome, served, policy)
        case Verdict.SERVER_ERROR if history.errors >= _suspicious_after(history, several=several):
            return _suspected(chunk, history, outcome, served) or _again(history, outcome, served, policy)
        case Verdict.BLOCKED:
            return _blocked(chunk, history, outcome, served, policy)
        case _:
            return _again(history, outcome, served, policy)


def _again(history: ChunkHistory, outcome: Outcome, served: Served, policy: Policy) -> Again | Left:
    if _asks_for_too_long(outcome, served):
        return leave(history, outcome, served, policy)
    asked_s, part = outcome.asked_s, THROTTLED_PART if outcome.verdict is Verdict.THROTTLED else 1.0
    backoff_s = policy.backoff_s(history.in_a_row)
    wait_s, spread_s = (backoff_s * part / 2,) * 2 if asked_s is None else (asked_s, backoff_s / 10)
    return Again(history.attempts - history.recorded, wait_s, spread_s, ambiguous=outcome.ambiguous)


def _asks_for_too_long(outcome: Outcome, served: Served) -> bool:
    """Whether the API names a time that lies beyond the end of patience: waiting for it would be of no use."""
    return outcome.retry_after_s is not None and outcome.retry_after_s > served.patience_left_s


def _suspicious_after(history: ChunkHistory, *, several: bool) -> int:
    most = SUSPICIOUS_AFTER if several else SUSPICIOUS_ALONE_AFTER
    return most - (SUSPECTED_EARLIER if history.suspected else 0)


def _suspected(chunk: Chunk, history: ChunkHistory, outcome: Outcome, served: Served) -> Step | None:
    """Return what is done about a chunk that met server errors so often; None when it is sent again all the same."""
    alone, made = len(chunk.sequences) == 1, history.attempts - history.recorded
    # A single record ends in the dead letters for it, so chance is ruled out too: with every third request failing, six
    # failures in a row happen to one good record in a thousand.
    others_served = served.successes > history.successes_before
    proven = others_served and (not alone or history.errors >= beyond_chance(served.error_rate))
    if not alone and (proven or history.postponed):
        # It alone brings server errors, or there is nothing else left to try: its parts show it of each other.
        part = ChunkHistory(suspected=True, successes_before=history.began or 0)
        return _split(Split(made, ([], []), blame=False, history=part), chunk)
    if proven:
        return Rejected(made, reason_of(outcome))
    if served.may_postpone and not history.postponed:
        return Postponed(made)
    return None


def _blocked(chunk: Chunk, history: ChunkHistory, outcome: Outcome, served: Served, policy: Policy) -> Step:
    """Return what is done about a chunk that a firewall, or a host that is not Bucket, does not take.

    Others are tried in its place at once. When they are served, it is the chunk's own matter, as with server errors;
    when nobody is, it is the address, or the firewall, and the run ends.
    """
    if served.may_postpone and not history.postponed:
        return Postponed(history.attempts - history.recorded)
    if history.errors < _suspicious_after(history, several=len(chunk.sequences) > 1):
        return _again(history, outcome, served, policy)
    nobody_served = served.successes == history.successes_before
    otherwise = leave(history, outcome, served, policy) if nobody_served else _again(history, outcome, served, policy)
    return _suspected(chunk, history, outcome, served) or otherwise


def beyond_chance(error_rate: float) -> int:
    """Return how many server errors in a row are more than bad luck, where such a share of requests fails anyhow."""
    return math.ceil(math.log(CHANCE_MAX) / math.log(error_rate)) if 0 < error_rate < 1 else 1


def leave(history: ChunkHistory, outcome: Outcome, served: Served, policy: Policy) -> Left:
    """Return the step that leaves a chunk for a later run, with what the run ends with."""
    nobody_served = served.successes == history.successes_before
    return Left(history.attempts - history.recorded, _ending(outcome, served, policy, nobody_served=nobody_served))


def _split(step: Split, chunk: Chunk) -> Split:
    """Return a step with the parts that a chunk is cut into; before, its `named` are positions in the whole."""
    found = cut(len(chunk.sequences), step.named, in_order=bool(chunk.ids), proven=step.history.trust > 0)
    return replace(step, parts=(found.first, found.second), alone=found.alone, named=found.named)


def known_of_first(step: Split) -> ChunkHistory:
    """Return what is known of the first part; when it is refused though others were named, the hint said too little."""
    return replace(step.history, trust=step.history.trust - 1) if step.named else step.history


def after_first(step: Split, second: Chunk, *, passed: bool) -> Split | ChunkHistory:
    """Return how the second part is cut, unsent; or what is known of it, when it is sent.

    When all of the first part passed, and it was named, the hint was false.
    """
    history, named, blame = step.history, step.named, step.blame and passed
    if step.alone:
        history = replace(history, trust=NO_TRUST if passed else TRUST)
        named = () if passed else named
    if len(second.sequences) > 1 and (named or blame):
        return _split(Split(0, ([], []), blame, history, named=named), second)
    return history


def reason_of(outcome: Outcome) -> Reason:
    """Return why the API did not take a record, in words that quote no row."""
    code = _CODES.get(outcome.verdict, "refused")
    return Reason(code, f"the API answered {outcome.status} {outcome.message}".rstrip())


def _ending(outcome: Outcome, served: Served, policy: Policy, *, nobody_served: bool) -> BucketLoaderError | None:
    match outcome.verdict:
        case Verdict.REFUSED_KEY:
            return KeyRefusedError(
                f"the API refused the key ({outcome.status} {outcome.message})",
                hint="check that the variable holds the key of this environment; `bucket-loader check` tests it",
            )
        case Verdict.MISROUTED:
            return MisroutedError(
                outcome.message,
                hint=outcome.hint
                or "check `destination: base_url`; nothing was dead-lettered, running again continues",
            )
        case _ if not served.stopped and not served.out_of_patience and _asks_for_too_long(outcome, served):
            asked = f"{outcome.retry_after_s:,.0f} s"
            return PatienceError(
                f"the API asks to wait {asked} ({outcome.status}), and {served.patience_left_s:,.0f} s of patience are "
                "left",
                hint=f"nothing is lost: run the same command again in {asked} to continue where this one stopped",
            )
        case Verdict.BLOCKED if nobody_served and not served.stopped:
            return MisroutedError(
                f"what answers is a firewall, or not Bucket: {outcome.status} to all that is sent",
                hint="check `destination: base_url`, and what is on the way there; nothing was dead-lettered",
            )
        case _ if served.out_of_patience or not served.stopped:  # it was over; a success of another came just now
            return PatienceError(
                f"no success for {policy.patience_s:g} s (last: {outcome.status or outcome.message})",
                hint="nothing is lost: run the same command again to continue where this one stopped",
            )
        case _:
            return None
