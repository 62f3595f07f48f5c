"""The versions of the rules with which somebody looked at a plan: they may have others when it is run."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec

from bucket_loader.model import StateUnavailableError, written_whole
from bucket_loader.planning import Plan
from bucket_loader.runs.impact.definitions import Feature, changed_since, versions_of

_FILE: Final = "features.json"  # beside the manifest: it goes with the plan


def note_looked(plan: Plan, features: Sequence[Feature]) -> None:
    """Note the versions beside a plan.

    Raises:
        StateUnavailableError: the disk refuses.
    """
    try:
        with written_whole(_path(plan)) as file:
            file.write(msgspec.json.encode(versions_of(features)))
    except OSError as error:
        raise StateUnavailableError(
            f"cannot write {_path(plan)}: {error.strerror}", hint="make room on its disk; nothing was sent"
        ) from None


def changed_since_looked(plan: Plan, features: Sequence[Feature]) -> Iterator[str]:
    """Say which features have other rules than when somebody looked at a plan; nothing where nobody did."""
    try:
        before = msgspec.json.decode(_path(plan).read_bytes(), type=dict[str, tuple[str, str]])
    except (OSError, msgspec.MsgspecError):
        return
    for text in changed_since(before, features):
        yield f"since this plan was looked at: {text}"


def _path(plan: Plan) -> Path:
    return plan.folder / _FILE
