"""What a run's new records came to so far, by whoever sent them: it tells a mapping that is wrong from bad rows."""

from bucket_loader.delivery.span import Span
from bucket_loader.delivery.tally import Judged, Spread
from bucket_loader.planning import Plan, PlannedStream
from bucket_loader.state import Ledger


def judged_so_far(plan: Plan, ledger: Ledger) -> tuple[int, int]:
    """Return how many new records were taken, and how many refused."""
    run, good, bad = plan.manifest.run, 0, 0
    counts = ledger.counts(run)
    for stream in plan.manifest.streams:
        bad += sum(sequence < stream.refused_from for sequence in ledger.rejected(run, stream.position))
        good += counts[stream.name].delivered
    return good, bad


def judged_by_all(plan: Plan, ledger: Ledger, stream: PlannedStream) -> Judged:
    """Return what all senders have come to while one of them sends a stream, of which it sees a part alone."""
    good, bad = judged_so_far(plan, ledger)
    spread = Spread(stream.name, Span(stream).new)
    spread.add(ledger.rejected(plan.manifest.run, stream.position))
    return Judged(good, bad, spread.missing)
