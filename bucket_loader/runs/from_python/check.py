"""`check`: whether all is as the pipeline file says, from Python."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bucket_loader.runs.checking.check import check_job
from bucket_loader.runs.from_python.words import given, with_options

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Unpack

    from bucket_loader.runs.from_python.words import PlanWords, Table


@dataclass(frozen=True, repr=False)
class Checked:
    """What a check found.

    Attributes:
        streams: where each row that was looked at would go, by stream.
        destination: what the host answered.
        warnings: what is in doubt, in words.
        doubts: the same in parts: `name`, `stream`, `column`, `count`, `of`, `text`, `hint`, `line`, `shapes`.
    """

    streams: "Mapping[str, Mapping[str, int]]"
    destination: str
    warnings: "Sequence[str]"
    doubts: "Sequence[Mapping[str, Any]]"

    def __repr__(self) -> str:
        return f"<Checked {', '.join(self.streams)}: {len(self.warnings):,} warnings; {self.destination}>"


@with_options
def check(
    what: "str | Path | Table",
    *,
    destination: "str | Mapping[str, Any] | None" = None,
    name: str | None = None,
    quiet: bool = True,
    **words: "Unpack[PlanWords]",
) -> Checked:
    """Look at a pipeline's sources through its mapping, then at the host and the key. Sends and remembers nothing.

        check("nightly.yaml").warnings

    Args:
        what: as for `load`.
        destination: as for `load`.
        name: as for `load`.
        quiet: as for `load`.
        words: the options below that concern a plan; and a table's words, as for `load`.

    Returns:
        What it found.

    Raises:
        BucketLoaderError: the first thing that stands in the way of a run.
    """
    found = check_job(given(what, destination, name, quiet=quiet, words=words).job())
    return Checked(found["streams"], found["destination"], found["warnings"], found["doubts"])
