"""What lies beside a plan of its impact: a line, and the versions of the rules, which may be others at the run."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from bucket_loader.model import StateUnavailableError, written_whole
from bucket_loader.planning import Plan
from bucket_loader.runs.impact.definitions import Feature, changed_since, versions_of

_FILE: Final = "impact.json"  # beside the manifest: it goes with the plan


class Looked(msgspec.Struct, frozen=True):
    """What somebody saw who looked at a plan.

    Attributes:
        line: its impact in a line.
        versions: the version and digest of each feature's rules.
    """

    line: str
    versions: Mapping[str, tuple[str, str]]


def looked_at(plan: Plan) -> Looked | None:
    """Return what was seen of a plan's impact; None where nobody has looked."""
    try:
        return msgspec.json.decode(_path(plan).read_bytes(), type=Looked)
    except (OSError, msgspec.MsgspecError):
        return None


def note_looked(plan: Plan, features: Sequence[Feature], line: str) -> None:
    """Note what was seen beside a plan.

    Raises:
        StateUnavailableError: the disk refuses.
    """
    try:
        with written_whole(_path(plan)) as file:
            file.write(msgspec.json.encode(Looked(line, versions_of(features))))
    except OSError as error:
        raise StateUnavailableError(
            f"cannot write {_path(plan)}: {error.strerror}", hint="make room on its disk; nothing was sent"
        ) from None


def changed_since_looked(plan: Plan, features: Sequence[Feature]) -> Iterator[str]:
    """Say which features have other rules than when somebody looked at a plan; nothing where nobody did."""
    before = looked_at(plan)
    for text in changed_since(before.versions, features) if before is not None else ():
        yield f"since this plan was looked at: {text}"


def _path(plan: Plan) -> Path:
    return plan.folder / _FILE
