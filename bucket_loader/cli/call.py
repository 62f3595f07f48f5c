"""One call of the command line: from its words to a job, and from what came of it to an exit code."""

import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from bucket_loader.cli.options import spelt
from bucket_loader.model import BucketLoaderError

if TYPE_CHECKING:
    from bucket_loader.reporting import Output, Reporter, Summary, Textfile
    from bucket_loader.runs import Job, RunOptions


@dataclass
class Call:
    """A call of the command line; click hands it to the command.

    Attributes:
        output: what stderr is.
        began_s: when it began, on the monotonic clock.
        as_json: whether a program reads stdout.
        metrics: the file that the run's numbers go to.
    """

    output: "Output"
    began_s: float = field(default_factory=time.monotonic)
    as_json: bool = False
    metrics: "Textfile | None" = None

    # --- from words to a job ---

    def job(self, file: Path, words: Mapping[str, Any], *, needs_key: bool = True) -> "Job":
        """Return the job that a command's words ask for.

        Raises:
            BucketLoaderError: a mistake in the words or the pipeline file.
        """
        from bucket_loader.config import load_pipeline
        from bucket_loader.runs import make_job

        reporter = self.reporter(words)
        if (file_of_metrics := words.get("metrics")) is not None:
            from bucket_loader.reporting import Textfile

            self.metrics = Textfile(file_of_metrics)
        # Past runs are looked at without the key; the state is found by name, host and environment.
        pipeline = load_pipeline(file, destination=None if needs_key else {"key": "pub_not-needed"})
        self.output.belongs_to(pipeline)
        if self.metrics is not None:
            self.metrics.belongs_to(pipeline.name, pipeline.destination.environment)
        return make_job(pipeline, self.options(words), reporter, file=file, has_key=needs_key)

    def options(self, words: Mapping[str, Any]) -> "RunOptions":
        """Return what a command's words ask of a run.

        Raises:
            UsageError: they make no sense.
        """
        from bucket_loader.runs import read_options

        return read_options(words, spelt)

    def reporter(self, words: Mapping[str, Any], *, throws_away: bool = False) -> "Reporter":
        """Return what tells on stderr how far a run is, as the words want it."""
        from bucket_loader.reporting import JsonReporter, Reporter, stderr_console

        self.as_json = words["as_json"]
        if words["quiet"]:
            self.output.hold()
        if self.output.is_json:
            return JsonReporter(quiet=words["quiet"], throws_away=throws_away)
        return Reporter(stderr_console(), quiet=words["quiet"], throws_away=throws_away)

    # --- from what came of it to an exit code ---

    def answer(self, found: object) -> None:
        """Print what a program asked for; nothing when a person asked."""
        if self.as_json:
            click.echo(json.dumps(found))

    def answer_after_all(self, found: object) -> None:
        """Print what a program asked for; when nobody takes it, what has happened has happened all the same."""
        try:
            self.answer(found)
        except OSError as error:
            self.output.complain(f"the summary cannot be written to stdout: {error.strerror}")
            sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123  # so that nothing is flushed at exit

    def end_run(self, job: "Job", summary: "Summary") -> NoReturn:
        """End as a run ended."""
        if summary.exit_code:
            self.output.release()
        job.reporter.ended(summary)
        self.measure(summary.exit_code, [summary])
        self.answer_after_all(summary.as_json())
        raise click.exceptions.Exit(summary.exit_code)

    def fail(self, error: BucketLoaderError) -> NoReturn:
        """End with an error of ours."""
        self.output.failed(error)
        self.measure(error.exit_code)
        self.answer({"status": "failed", "exit_code": error.exit_code,
                     "error": {"message": error.message, "hint": error.hint}})  # fmt: skip
        sys.exit(error.exit_code)

    def measure(self, exit_code: int, summaries: "Sequence[Summary] | None" = None) -> None:
        """Write the metrics where they were asked for. A file that cannot be written does not change how a run ends."""
        if self.metrics is None:
            return
        from bucket_loader.reporting import LastRun, together

        if summaries is None:
            run = LastRun(exit_code, time.monotonic() - self.began_s)
        else:
            streams = [streams for one in summaries for streams in (one.streams, *(old.streams for old in one.resumed))]
            run = LastRun(
                exit_code,
                sum(one.seconds for one in summaries),
                together(streams),
                sum(one.requests for one in summaries),
                sum(one.retries for one in summaries),
            )
        try:
            self.metrics.write(run)
        except OSError as error:
            self.output.complain(f"the metrics cannot be written to {self.metrics.path}: {error.strerror}")
