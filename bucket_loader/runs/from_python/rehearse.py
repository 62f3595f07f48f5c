"""`rehearse`: a whole run into a local Bucket, from Python."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bucket_loader.reporting import Summary, summary_html
from bucket_loader.runs.from_python.words import given, with_options
from bucket_loader.runs.rehearse import Asked, rehearsed

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Unpack

    from bucket_loader.runs.from_python.words import RehearsalWords, Table
    from bucket_loader.state import dead_letters
_OF_A_REHEARSAL: Final = ("evaluation", "faults", "features", "fixtures")


@dataclass(frozen=True, repr=False)
class Rehearsal:
    """A rehearsal that took place.

    Attributes:
        summary: where every row went.
        counts: how much there is of everything in the local Bucket.
        items: every item that arrived, in order: `{"request": 1, "type": "user", "item": {...}}`.
        reasons: why rows were rejected, most first; the file of them is gone with the rehearsal.
    """

    summary: Summary
    counts: dict[str, int]
    items: list[dict[str, Any]]
    reasons: "Sequence[dead_letters.Group]"

    def __repr__(self) -> str:
        arrived = ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in self.counts.items() if count)
        return f"<Rehearsal {self.summary.status}: {arrived or 'nothing arrived'}>"

    def _repr_html_(self) -> str:
        return summary_html(self.summary, self.reasons)


@with_options
def rehearse(
    what: "str | Path | Table",
    *,
    name: str | None = None,
    quiet: bool = True,
    **words: "Unpack[RehearsalWords]",
) -> Rehearsal:
    """Do a whole run into a local Bucket, with a memory that is thrown away. Needs no key and no network.

        rehearse("nightly.yaml").counts

    Args:
        what: as for `load`.
        name: as for `load`.
        quiet: as for `load`.
        words: `fixtures`, files that stand for sources, by the source's or the stream's name; `features`, what features
            there are, as GET /features gives them; `faults`, what goes wrong, as `bucket-loader emulator --faults`
            takes it; `evaluation`, as of when lists are kept and rules evaluated, "2026" or "2025"; the options below;
            and a table's words, as for `load`.

    Returns:
        What arrived, and the summary.

    Raises:
        BucketLoaderError: nothing could be sent: a mistake in the words or the source.
    """
    of_a_run: dict[str, Any] = {**words}
    asked = _asked({word: of_a_run.pop(word) for word in _OF_A_REHEARSAL if word in of_a_run})
    of = given(what, None, name, quiet=quiet, words=of_a_run)
    with rehearsed(of.file or of.pipeline, of.options, of.listener, asked) as (rehearsal, summary):
        return Rehearsal(summary, rehearsal.bucket.counts(), list(rehearsal.bucket.journal()), summary.reasons())


def _asked(words: "dict[str, Any]") -> Asked:
    fixtures = {name: Path(file) for name, file in words.pop("fixtures", {}).items()}
    return Asked(fixtures=fixtures, **words)
