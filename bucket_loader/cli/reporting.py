"""The option `--report` of commands that run, and the command `report`, which looks at a run that was."""

import signal
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

import click

from bucket_loader.cli.call import Call
from bucket_loader.cli.group import main
from bucket_loader.cli.options import pipeline_argument, state_options
from bucket_loader.cli.pipelines import RUN
from bucket_loader.model import BucketLoaderError, InterruptedRunError

if TYPE_CHECKING:
    from bucket_loader.reporting import Summary
    from bucket_loader.runs import Job

LATEST: Final = "latest"
report_option: Final = click.option(
    "--report", type=click.Path(path_type=Path), metavar="FILE",
    help="Write what came of it as a page to this file (*.html), also when it fails: see `report --help`.",
)  # fmt: skip


class Reported:
    """Writes a report of a command that runs, where one is asked for; that it cannot be written changes nothing else.

    It is written when the body of the `with` says how the run ended, or when the body fails before that.

    Attributes:
        job: what is run; the body sets it.
    """

    def __init__(self, call: Call, pipeline: Path, words: Mapping[str, Any]) -> None:
        self.job: Job | None = None
        self._has_ended = False
        self._call, self._pipeline, self._file = call, pipeline, words["report"]
        if self._file is not None:
            from bucket_loader.runs import require_report_file

            require_report_file(self._file)

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None) -> None:
        """Write the report of what ends the command early, also of a bug: a page of yesterday would be a lie."""
        if error is not None and not self._has_ended:
            self._write(None, _told(error), thrown_away=False)

    def ended(self, job: "Job", summary: "Summary", *, thrown_away: bool = False) -> None:
        """Write the report of a run.

        Args:
            job: what was run.
            summary: how it ended.
            thrown_away: whether the state goes when the command ends.
        """
        self.job, self._has_ended = job, True
        self._write(summary.run, summary.error, thrown_away=thrown_away)

    def _write(self, run: str | None, error: BucketLoaderError | None, *, thrown_away: bool) -> None:
        if self._file is None:
            return
        from bucket_loader.reporting import Complaint
        from bucket_loader.runs import ReportAsked, report_of, report_of_failure

        try:
            if self.job is not None:
                named = self._call.output.commands.pipeline
                asked = ReportAsked(run, is_after=True, error=error, named=named, thrown_away=thrown_away)
                report_of(self.job, asked).save(self._file)
            elif error is not None:
                report_of_failure(self._pipeline.stem, error).save(self._file)
        except OSError as refused:
            why = refused.strerror or str(refused)
        except BucketLoaderError as refused:
            why = refused.message
        else:
            self._call.say(f"the report: {self._file}")
            return
        self._call.output.tell(Complaint(f"the report cannot be written to {self._file}: {why}"))


def _told(error: BaseException) -> BucketLoaderError:
    """Return an error as a page may tell it: the message of a bug may quote a row."""
    if isinstance(error, BucketLoaderError):
        return error
    if isinstance(error, KeyboardInterrupt):
        return InterruptedRunError(signal.SIGINT)
    return BucketLoaderError("a bug ended the command", hint="its traceback is on stderr: please report it")


@main.command()
@pipeline_argument
@click.argument(RUN, metavar="[RUN]", required=False)
@click.option("-o", "--output", "file", type=click.Path(path_type=Path), metavar="FILE", required=True,
              help="The page: a file that ends with .html. One that is there is replaced.")  # fmt: skip
@click.option(
    "--with-rows",
    is_flag=True,
    help="Show 20 dead letters and 20 records. Without it no value of a row is in the page.",
)
@state_options
@click.pass_obj
def report(call: Call, /, pipeline: Path, run_name: str | None, *, file: Path, with_rows: bool, **words: Any) -> None:  # noqa: ANN401  # click's
    """Write all that is known of RUN as a page: how it ended, where its rows went, why, and how it was sent.

    RUN is the name of a run, a beginning of it, or `latest`, which is the default. The page is one file of at most
    300 KB that asks nobody for anything: it can be mailed, or kept as an artifact of a job. Of a run whose plan or dead
    letters are gone it says what is left, and what can no longer be told.

    \b
    Examples:
      bucket-loader report nightly.yaml -o report.html
      bucket-loader report nightly.yaml 20260101T030000000Z -o report.html --with-rows
      bucket-loader run nightly.yaml --report report.html
    """
    from bucket_loader.model import UsageError
    from bucket_loader.runs import ReportAsked, report_of, require_report_file

    require_report_file(file)
    job = call.job(pipeline, words, needs_key=False)
    asked = ReportAsked(run_name or LATEST, with_rows=with_rows, named=call.output.commands.pipeline)
    try:
        report_of(job, asked).save(file)
    except OSError as error:
        raise UsageError(
            f"the report cannot be written to {file}: {error.strerror or error}", hint="make room, or give another file"
        ) from None
    call.say(f"the report: {file}")
    call.answer({"report": str(file.absolute())})
