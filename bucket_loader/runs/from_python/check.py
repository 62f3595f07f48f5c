"""`check`: whether all is as the pipeline file says, from Python."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bucket_loader.model import counted
from bucket_loader.runs.checking.check import check_job
from bucket_loader.runs.from_python.words import given, with_options

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Unpack

    from bucket_loader.runs.from_python.words import CheckWords, Table


@dataclass(frozen=True, repr=False)
class Checked:
    """What a check found.

    Attributes:
        streams: where each row that was looked at would go, by stream.
        looked_at: which rows that were, by stream, in words.
        destination: what the host answered; without a key it was not asked.
        warnings: what is in doubt, in words.
        doubts: the same in parts: `name`, `stream`, `column`, `count`, `of`, `text`, `hint`, `line`, `shapes`.
        rejected: the file of the rows that a run would reject; None when there are none.
        exit_code: 3 when more rows would be rejected than `limits:` allow, else 0.
    """

    streams: "Mapping[str, Mapping[str, int]]"
    looked_at: "Mapping[str, str]"
    destination: str
    warnings: "Sequence[str]"
    doubts: "Sequence[Mapping[str, Any]]"
    rejected: str | None
    exit_code: int

    def __repr__(self) -> str:
        return f"<Checked {', '.join(self.streams)}: {counted(len(self.warnings), 'warning')}>"


@with_options
def check(
    what: "str | Path | Table",
    *,
    destination: "str | Mapping[str, Any] | None" = None,
    name: str | None = None,
    quiet: bool = True,
    **words: "Unpack[CheckWords]",
) -> Checked:
    """Look at a pipeline's sources, and what is doubtful in their rows; then at the host and the key. Sends nothing.

        check("nightly.yaml").warnings

    Args:
        what: as for `load`.
        destination: as for `load`.
        name: as for `load`.
        quiet: as for `load`.
        words: `whole`, whether every row is looked at, and not a sample; the options below that concern a plan; and a
            table's words, as for `load`.

    Returns:
        What it found.

    Raises:
        BucketLoaderError: the first thing that stands in the way of a run.
    """
    whole = words.pop("whole", False)
    of = given(what, destination, name, quiet=quiet, words=words)
    found = check_job(of.job(has_key=of.has_key), whole=whole)
    return Checked(**{one.name: found[one.name] for one in fields(Checked)})
