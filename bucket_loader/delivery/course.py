"""What follows from an answer: a chunk's course, as a value.

No thread, no clock, no ledger and no socket is known here. A worker sends a chunk, asks `next_step` what follows from
the outcome, and does that.
"""

import math
from dataclasses import replace
from typing import Final

from bucket_loader.model import (
    NEW,
    Again,
    BucketLoaderError,
    Chunk,
    ChunkHistory,
    Code,
    Delivered,
    EmulatorGoneError,
    Held,
    KeyRefusedError,
    Left,
    MisroutedError,
    Outcome,
    PatienceError,
    Policy,
    Reason,
    Rejected,
    Served,
    SetAside,
    Split,
    Step,
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
_CODES: Final[dict[Verdict, Code]] = {
    Verdict.TOO_BIG: "too_large",
    Verdict.SERVER_ERROR: "server_error",
    Verdict.BLOCKED: "blocked",
}
FAILED: Final = frozenset({Verdict.SERVER_ERROR, Verdict.BLOCKED})  # of the chunk itself only if others are served


def next_step(
    chunk: Chunk, history: ChunkHistory, outcome: Outcome, served: Served, policy: Policy
) -> tuple[Step, ChunkHistory]:
    """Return what follows from an attempt's outcome, and what is known of the chunk from now on.

    | verdict | what happened | what follows | what you do |
    |---|---|---|---|
    | delivered | 200 to our own POST, the whole body was written, and the answer is a JSON object whose `success` is true | done | nothing |
    | not_sent | no byte of the request left this machine | sent again | nothing; when it lasts, look at the network, `proxy:` and `base_url:` |
    | throttled | 429, or 503 with Retry-After | sent again, as late as the server asks (at most 300 s); a 503 may have been applied, so it is named, or held, as a server error is | nothing; `requests_per_second:` keeps below the limit |
    | server_error | 408, or another 5xx; or 400, 413 or 422 with a page instead of JSON | named, since it may be applied twice, and sent again; held with `on_unknown: hold`; when it goes on, the chunk is set aside, and what does not share its ids goes on; while others are served it is halved, and a single record is rejected after a minute | nothing; when it lasts, ask Bucket, or `release` what is held |
    | unknown | the request was sent, and no answer came that can be read; or a status from 100 to 299 other than 200 | named and sent again; held with `on_unknown: hold` | nothing; `release` what is held; a longer `timeout:` on a slow network |
    | rejected | 400 or 422 with a JSON object; or 200 with `success: false` | cut into parts until each refused record stands alone; that one is rejected | read the dead letter, mend the mapping, `replay --remap` |
    | too_big | 413 with a JSON object | halved; a single record is rejected | less in a record, or a smaller `chunk: {bytes: ...}` |
    | blocked | 401 or 403 with a page instead of JSON; or another 4xx, as 404, 405, 409 or 415 | others are tried in its place; when they are served, the chunk is halved, and a single record is rejected, as with server errors; when nobody is, the run ends with 5, and nothing is dead-lettered | ask who runs the firewall; check `base_url:` |
    | refused_key | 401 or 403 with a JSON object; or 400 or 422 with the code `INVALID_API_KEY` | left; the run ends with 5, and nothing is dead-lettered | put the right key into its variable |
    | replaced | 412 of an emulator that was started, reset or restored since the run began: it applies nothing of this | left; the run ends with 75, and the next begins anew | run again |
    | misrouted | a redirect, a certificate that is not valid, or 200 with an answer that is not Bucket's | left, and named when the body was sent, since it may have been applied; held with `on_unknown: hold`; the run ends with 5, and nothing is dead-lettered | check `base_url:`, `proxy:` and `ca_bundle:` |

    What is sent again is left instead when the run is asked to end; when nothing was served for as long as `patience`;
    or when the API asks for a wait that is longer than what is left of it. In the last two cases the run ends with 75.
    Where nothing listens on this very machine, and nothing did in this run, the run ends with 75 at once.
    A single record that meets server errors is set aside instead when the host answers a read meanwhile: it may be the
    record, or an outage, and no other waits for it; in later runs it is tried once, until others are served again.
    """  # noqa: E501  # a row of the table is a line, here and in the docs
    if outcome.verdict is Verdict.DELIVERED:
        return arrived(history), history
    history = _counted(history, outcome, served)
    if served.ending is not None:
        return Left(history.attempts - history.recorded, served.ending), replace(history, recorded=history.attempts)
    step = _step(chunk, history, outcome, served, policy)
    return step, _known_after(step, history)


def arrived(history: ChunkHistory) -> Delivered:
    """Return the step of a chunk that was delivered, for which nothing else has to be known."""
    return Delivered(history.attempts + 1 - history.recorded)


def _counted(history: ChunkHistory, outcome: Outcome, served: Served) -> ChunkHistory:
    first, failed = history.began is None, outcome.verdict in FAILED
    return replace(
        history,
        attempts=history.attempts + 1,
        in_a_row=history.in_a_row + 1,
        errors=history.errors + failed,
        since_s=served.now_s if failed and history.since_s is None else history.since_s,
        began=served.when_sent if first else history.began,
        successes_before=served.when_sent if first and not history.suspected else history.successes_before,
    )


def _known_after(step: Step, history: ChunkHistory) -> ChunkHistory:
    if isinstance(step, Again) and not step.ambiguous:
        return history  # nothing is recorded before it is sent again
    if isinstance(step, SetAside):
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
        case Verdict.REFUSED_KEY | Verdict.MISROUTED | Verdict.REPLACED:
            return leave(history, outcome, served, policy)
        case _ if served.stopped:
            return leave(history, outcome, served, policy)
        case Verdict.SERVER_ERROR:
            return _failed(chunk, history, outcome, served, policy)
        case Verdict.BLOCKED:
            return _blocked(chunk, history, outcome, served, policy)
        case _ if served.out_of_patience:
            return leave(history, outcome, served, policy)
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


def _failed(chunk: Chunk, history: ChunkHistory, outcome: Outcome, served: Served, policy: Policy) -> Step:
    alone, made = len(chunk.sequences) == 1, history.attempts - history.recorded
    if alone and history.earlier and not served.successes:
        return SetAside(made)  # as in the call before: nothing is known that was not known then
    suspicious = history.errors >= _suspicious_after(history, several=not alone)
    step = _suspected(chunk, history, outcome, served, policy) if suspicious else None
    # Among the last, patience may be over only since one of them was waited for.
    is_late = not alone and served.last and served.successes > 0
    if served.out_of_patience and not is_late and not isinstance(step, Rejected):
        gives_way = alone or (served.may_set_aside and not history.postponed)
        return SetAside(made) if served.reads and gives_way else leave(history, outcome, served, policy)
    return step or _again(history, outcome, served, policy)


def _suspected(chunk: Chunk, history: ChunkHistory, outcome: Outcome, served: Served, policy: Policy) -> Step | None:
    """Return what is done about a chunk that met server errors so often; None when it is sent again all the same."""
    alone, made = len(chunk.sequences) == 1, history.attempts - history.recorded
    others_served = served.successes > history.successes_before
    if not alone and (others_served or history.postponed or served.last):
        # It alone brings server errors, or there is nothing else left to try: its parts show it of each other.
        return _halved(chunk, history)
    if alone and others_served and _beyond_doubt(history, served, policy):
        return Rejected(made, reason_of(outcome))
    return SetAside(made) if served.may_set_aside or (alone and served.last) else None


def _halved(chunk: Chunk, history: ChunkHistory) -> Split:
    part = ChunkHistory(suspected=True, successes_before=history.began or 0, since_s=history.since_s)
    return _split(Split(history.attempts - history.recorded, ([], []), blame=False, history=part), chunk)


def _beyond_doubt(history: ChunkHistory, served: Served, policy: Policy) -> bool:
    """Whether a single record fails so often, and for so long, that neither chance nor a bad minute explains it.

    With every third request failing, six failures in a row happen to one good record in a thousand.
    """
    failing_s = served.now_s - (served.now_s if history.since_s is None else history.since_s)
    return failing_s >= policy.judged_after_s and history.errors >= beyond_chance(served.error_rate)


def _blocked(chunk: Chunk, history: ChunkHistory, outcome: Outcome, served: Served, policy: Policy) -> Step:
    """Return what is done about a chunk that a firewall, or a host that is not Bucket, does not take.

    Others are tried in its place at once. When they are served, it is the chunk's own matter, as with server errors;
    when nobody is, it is the address, or the firewall, and the run ends.
    """
    alone, made = len(chunk.sequences) == 1, history.attempts - history.recorded
    nobody_served = served.successes == history.successes_before
    left = leave(history, outcome, served, policy)
    ending = left.error if nobody_served else None
    suspicious = history.errors >= _suspicious_after(history, several=not alone)
    step = _suspected(chunk, history, outcome, served, policy) if suspicious else None
    if isinstance(step, Rejected):
        return step
    if served.out_of_patience or (served.last and nobody_served):
        # It may be one of several: some others are tried as well, or parts of it; no later run stands still for one.
        return SetAside(made, ending) if alone else _halved(chunk, history) if served.may_set_aside else left
    if served.may_set_aside and not history.postponed and not served.last:
        return SetAside(made, ending)
    otherwise = left if nobody_served and suspicious else _again(history, outcome, served, policy)
    return step or otherwise


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


def emulator_gone() -> EmulatorGoneError:
    """Return what a run ends with whose emulator was started anew, reset or restored under it."""
    return EmulatorGoneError(
        "the emulator was restarted or reset while this run was sending: what it had sent before is gone",
        hint="run again: the next run sends all of it to the emulator that is there now; with --data an emulator keeps "
        "what it has",
    )


def _ending(outcome: Outcome, served: Served, policy: Policy, *, nobody_served: bool) -> BucketLoaderError | None:
    match outcome.verdict:
        case Verdict.REFUSED_KEY:
            return KeyRefusedError(
                f"the API refused the key ({outcome.status} {outcome.message})",
                hint="does the variable hold the key of this environment? `bucket-loader check PIPELINE` tests it",
            )
        case Verdict.REPLACED:
            return emulator_gone()
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
