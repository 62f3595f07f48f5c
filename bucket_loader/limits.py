"""`limits:`, held against a finished plan before anything is sent, so that a mistake stops before it does harm."""

from bucket_loader.config import Limits
from bucket_loader.errors import LimitError
from bucket_loader.plan import Manifest


def check(limits: Limits, manifest: Manifest, *, accept_changes: bool) -> None:
    """Hold a plan against the limits, each stream by itself.

    Raises:
        LimitError: a stream is over one of them; the message has the numbers.
    """
    for stream in manifest.streams:
        if limits.rejected is not None and not limits.rejected.allows(stream.rejected, stream.read):
            raise LimitError(
                f"stream {stream.name!r}: {stream.rejected:,} of {stream.read:,} rows are rejected, "
                f"more than `limits: {{rejected: {limits.rejected}}}`; nothing was sent",
                hint="look at the dead letters for the reasons; raise the limit if they are right",
            )
        if limits.changed is None or accept_changes or not stream.known:
            continue
        if not limits.changed.allows(stream.changed, stream.known):
            raise LimitError(
                f"stream {stream.name!r}: {stream.changed:,} of {stream.known:,} known records have changed, "
                f"more than `limits: {{changed: {limits.changed}}}`; nothing was sent",
                hint="`bucket-loader plan --show 5` shows them; `run --accept-changes` sends them if they are right",
            )
