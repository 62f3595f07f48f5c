"""`load`: a run, from Python."""

from dataclasses import replace
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

from bucket_loader.runs.from_python.words import given, with_options
from bucket_loader.runs.job import Job
from bucket_loader.runs.report.known import ReportAsked
from bucket_loader.runs.report.pages import report_of
from bucket_loader.runs.run import run_job

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Unpack

    from bucket_loader.reporting import Document, Summary
    from bucket_loader.runs.from_python.words import RunWords, Table


@with_options
def load(
    what: "str | Path | Table",
    *,
    destination: "str | Mapping[str, Any] | None" = None,
    name: str | None = None,
    quiet: bool = True,
    **words: "Unpack[RunWords]",
) -> "Summary":
    """Load a pipeline file, or a table, into Bucket.

        load("nightly.yaml", limit=100)
        load(frame, record="company", fields={"companyId": "id", "attributes": "*"}, name="accounts")

    Args:
        what: the path of a pipeline file; or a table, which is one stream: of pandas, polars, pyarrow, or of any
            library that speaks Arrow or the DataFrame interchange protocol.
        destination: where to: an address; or `base_url`, `key` and the rest of the pipeline file's `destination:`.
            With a pipeline file these stand in place of the file's own. With a table, BUCKET_BASE_URL and
            BUCKET_SECRET_KEY say what is not given. A key is given as it is, from wherever the caller keeps it.
        name: with a table, the pipeline's and the stream's name; its memory belongs to it. Without one, a stream that
            remembers (`sync: append` or `changes`, which most kinds have by themselves) is for this table alone:
            another one is refused.
        quiet: whether to say nothing on stderr but what went wrong. In a notebook, `quiet=False` shows progress.
        words: the options below; and with a table the words of its stream, as in a pipeline file: `record`, `fields`,
            `key`, `where`, `sync`, `nulls`, `active`, `timezone`, `dst`, `on_unknown`, `on_removed`, and those of the
            file's top: `arrays`, `hash_key`, `keep`, `limits`, `notify`, `on_truncation`.

    Returns:
        The summary, whatever came of the run; look at `exit_code` or call `raise_for_status()`.

    Raises:
        BucketLoaderError: nothing could be sent: a mistake in the words, the source or the state.
    """
    job = given(what, destination, name, quiet=quiet, words=words).job(tells=True)
    return _reportable(job, run_job(job))


def _reportable(job: Job, summary: "Summary") -> "Summary":
    """Return a summary that can make the report of its run."""
    named = "PIPELINE" if job.file is None else quote(str(job.file))

    def document(with_rows: bool) -> "Document":  # noqa: FBT001  # its one word
        asked = ReportAsked(summary.run, is_after=True, error=summary.error, with_rows=with_rows, named=named)
        return report_of(job, asked)

    return replace(summary, document=document)
