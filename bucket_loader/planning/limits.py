"""Limits, held against a finished plan before anything is sent, so that a mistake stops before it does harm."""

from bucket_loader.config import Limits, OnRemoved, Pipeline
from bucket_loader.model import LimitError
from bucket_loader.planning.manifest import Manifest, PlannedStream


def check(pipeline: Pipeline, manifest: Manifest, *, accept_changes: bool) -> None:
    """Hold a plan against the limits, each stream by itself.

    Raises:
        LimitError: a stream is over one of them; the message has the numbers.
    """
    removals = {stream.name: stream.on_removed for stream in pipeline.streams}
    for stream in manifest.streams:
        _check_rejected(pipeline.limits, stream)
        if not accept_changes:
            _check_changed(pipeline.limits, stream)
            _check_removed(removals.get(stream.name), stream)


def _check_rejected(limits: Limits, stream: PlannedStream) -> None:
    rejected = stream.counts.rejected - stream.counts.refused_before  # those are no mistake of today
    if limits.rejected is not None and not limits.rejected.allows(rejected, stream.counts.read):
        raise LimitError(
            f"stream {stream.name!r}: {rejected:,} of {stream.counts.read:,} rows are rejected, "
            f"more than `limits: {{rejected: {limits.rejected}}}`; nothing was sent",
            hint="look at the dead letters for the reasons; raise the limit if they are right",
        )


def _check_changed(limits: Limits, stream: PlannedStream) -> None:
    if limits.changed is not None and stream.known and not limits.changed.allows(stream.changed, stream.known):
        raise LimitError(
            f"stream {stream.name!r}: {stream.changed:,} of {stream.known:,} known records have changed, "
            f"more than `limits: {{changed: {limits.changed}}}`; nothing was sent",
            hint="`bucket-loader plan PIPELINE --show 5` shows them; if they are right, "
            "`bucket-loader run PIPELINE --accept-changes` sends them",
        )


def _check_removed(removal: OnRemoved | None, stream: PlannedStream) -> None:
    removed = stream.counts.removed
    if not removed:
        return
    hint = (
        "is the export whole? if they are gone indeed, `bucket-loader run PIPELINE --accept-changes` sends what "
        "`on_removed:` says"
    )
    if removed == stream.known_ids:  # whatever the limit: an empty export, or other ids than yesterday
        raise LimitError(
            f"stream {stream.name!r}: all {removed:,} known records are gone from the source; nothing was sent",
            hint=hint,
        )
    limit = removal.limit if removal is not None else OnRemoved.model_fields["limit"].default
    if not limit.allows(removed, stream.known_ids):
        raise LimitError(
            f"stream {stream.name!r}: {removed:,} of {stream.known_ids:,} known records are gone from the "
            f"source, more than `on_removed: {{limit: {limit}}}`; nothing was sent",
            hint=hint,
        )
