"""How a run was sent: its attempts over time, and the chunks that a person may have to know."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import numpy as np

from bucket_loader.model import NO_ANSWER, UNRECORDED, wire_of_ms
from bucket_loader.reporting import CLASSES, Moment, NamedChunk, NamedChunks, Traffic
from bucket_loader.runs.report.known import NAME_MAX, Known, cut
from bucket_loader.runs.waiting import UNFINISHED
from bucket_loader.state import ChunkRow

MOMENTS_MAX: Final = 100
CHUNKS_MAX: Final = 25
# How long a stretch may be, in ms: what a person counts in.
_STEPS_MS: Final = (100, 200, 500, 1_000, 2_000, 5_000, 10_000, 30_000, 60_000, 120_000, 300_000, 600_000, 1_800_000,
                    3_600_000, 7_200_000, 14_400_000, 43_200_000, 86_400_000)  # fmt: skip
_TAKEN, _LIMITED, _REFUSED, _FAILED, _NONE = range(len(CLASSES))
_THROTTLED: Final = 429
_SERVER: Final = 500
_OK: Final = range(200, 300)

Numbers = np.ndarray[tuple[int], np.dtype[np.int64]]


def traffic_of(known: Known) -> Traffic:
    """Return the requests of a run over time."""
    attempts = [attempt for _, row in known.chunks for attempt in row.tried]
    before = known.state.ledger.answers(known.row.run)
    counted = before.total() + sum(row.attempts for _, row in known.chunks if row.folded is None or not before)
    unseen = max(0, counted - len(attempts))
    if not attempts:
        return Traffic(counts=_answered(before), attempts=counted, unseen=unseen)
    ended, took = (np.array([getattr(one, name) for one in attempts], np.int64) for name in ("at_ms", "ms"))
    kinds = np.array([_class(one.status) for one in attempts], np.int64)
    began = int((ended - took).min())
    each = _each(int(ended.max()) - began)
    places = (ended - began) // each
    seconds = (int(ended.max()) - began) / 1_000
    middle, slow = _latency(took)
    return Traffic(
        began=wire_of_ms(began),
        each_s=each / 1_000,
        moments=tuple(_moments(places, kinds, took)),
        counts=tuple(map(sum, zip(_counts(kinds), _answered(before), strict=True))),
        middle_ms=middle,
        slow_ms=slow,
        records_per_s=known.total.delivered / seconds if seconds else 0.0,
        attempts=counted,
        unseen=unseen,
    )


def _answered(answers: Mapping[str, int]) -> tuple[int, ...]:
    """Return how many attempts of each class a run's folded chunks had; of some no answer is known."""
    found = [0] * len(CLASSES)
    for answer, count in answers.items():
        if answer != UNRECORDED:
            found[_class(None if answer == NO_ANSWER else int(answer))] += count
    return tuple(found)


def _class(status: int | None) -> int:
    """Return the place of an attempt among `CLASSES`."""
    if status is None:
        return _NONE
    if status == _THROTTLED:
        return _LIMITED
    return _TAKEN if status in _OK else _FAILED if status >= _SERVER else _REFUSED


def _each(whole: int) -> int:
    """Return how long a stretch is, so that there are as many as may be."""
    days = _STEPS_MS[-1] * (whole // (_STEPS_MS[-1] * MOMENTS_MAX) + 1)
    return next((step for step in _STEPS_MS if whole // step < MOMENTS_MAX), days)


def _moments(places: Numbers, kinds: Numbers, took: Numbers) -> Iterator[Moment]:
    for place in range(int(places.max()) + 1):
        here = places == place
        middle, slow = _latency(took[here])
        yield Moment(_counts(kinds[here]), middle, slow)


def _counts(kinds: Numbers) -> tuple[int, ...]:
    return tuple(np.bincount(kinds, minlength=len(CLASSES)).tolist())


def _latency(took: Numbers) -> tuple[int, int]:
    """Return which time half of some attempts did not exceed, and 95 of 100."""
    if not took.size:
        return 0, 0
    middle, slow = np.percentile(took, [50, 95], method="inverted_cdf")
    return int(middle), int(slow)


# --- chunks by name --------------------------------------------------------------------------------------------------


def unknown_of(known: Known) -> NamedChunks:
    """Return the chunks whose answer never came."""
    return _named(known, [(name, row) for name, row in known.chunks if _is_unknown(row)])


def repeated_of(known: Known) -> NamedChunks:
    """Return the chunks that were sent more than once, those that were most often first."""
    found = [(name, row) for name, row in known.chunks if row.attempts > 1 and row.folded is None]
    found = [(name, row) for name, row in found if not _is_unknown(row)]
    return _named(known, sorted(found, key=lambda one: (-one[1].ambiguous, -one[1].attempts)))


def _is_unknown(row: ChunkRow) -> bool:
    return row.state in {"intent", "held"} or (row.state == "queued" and row.ambiguous > 0 and row.aside is None)


def _named(known: Known, found: Sequence[tuple[str, ChunkRow]]) -> NamedChunks:
    chunks = tuple(
        NamedChunk(cut(name, NAME_MAX), cut(row.members, NAME_MAX), row.records, row.attempts, _said(known, row))
        for name, row in found[:CHUNKS_MAX]
    )
    return NamedChunks(chunks, more=len(found[CHUNKS_MAX:]))


_SAID: Final = {
    "intent": "was being sent when the run ended",
    "held": "is held for a person",
    "queued": "is sent again by the next run",
    "split": "was cut into parts",
    "superseded": "was replaced by newer rows of a later run",
}


def _said(known: Known, row: ChunkRow) -> str:
    """Return what became of a chunk."""
    said = _SAID.get(row.state, row.state)
    if row.state == "queued" and known.row.status not in UNFINISHED:
        said = "was not sent again before the run was closed"
    elif row.aside is not None and row.state == "queued":
        said = "is set aside: it met only server errors"
    doubts = row.ambiguous - (row.state == "dropped")
    twice = ", and may be there twice" if row.state in {"delivered", "rejected", "dropped"} and doubts > 0 else ""
    return said + twice
