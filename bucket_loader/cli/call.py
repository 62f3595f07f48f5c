"""One call of the command line: from its words to a job, and from what came of it to an exit code."""

import json
import shlex
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click
from click.core import ParameterSource

from bucket_loader.cli.options import spelt
from bucket_loader.model import BucketLoaderError

if TYPE_CHECKING:
    from bucket_loader.reporting import Output, Summary
    from bucket_loader.runs import Job, RunOptions


@dataclass
class Call:
    """A call of the command line; click hands it to the command.

    Attributes:
        output: what stderr is.
        began_s: when it began, on the monotonic clock.
        as_json: whether a program reads stdout.
    """

    output: "Output"
    began_s: float = field(default_factory=time.monotonic)
    as_json: bool = False

    # --- from words to a job ---

    def job(self, file: Path, words: Mapping[str, Any], *, needs_key: bool = True, tells: bool = False) -> "Job":
        """Return the job that a command's words ask for.

        Args:
            file: the pipeline file.
            words: the command's.
            needs_key: whether it sends, or asks the host.
            tells: whether others are told how it ends: `notify:`, and who hears of lineage.

        Raises:
            BucketLoaderError: a mistake in the words or the pipeline file.
        """
        from bucket_loader.config import load_pipeline
        from bucket_loader.reporting import lineage_listener
        from bucket_loader.runs import make_job

        self.obey(words)
        self.names(file, words)
        if (file_of_metrics := words.get("metrics")) is not None:
            self.output.measure(file_of_metrics, self.began_s)
        # Past runs are looked at without the key; the state is found by name, host and environment.
        pipeline = load_pipeline(file, destination=None if needs_key else {"key": "pub_not-needed"}, tells=tells)
        self.output.belongs_to(pipeline)
        job = make_job(pipeline, self.options(words), self.output, file=file, has_key=needs_key)
        if tells:
            job.lineage = lineage_listener(job.options.lineage, self.output)
        return job

    def names(self, file: Path, words: Mapping[str, Any]) -> None:
        """Note how the command named the pipeline, and the state where it did: the commands of hints name them so."""
        source = click.get_current_context().get_parameter_source("state")
        places = words.get("state", ()) if source is ParameterSource.COMMANDLINE else ()
        named = [str(file), *(word for place in places for word in ("--state", place))]
        self.output.commands.pipeline = shlex.join(named)

    def options(self, words: Mapping[str, Any]) -> "RunOptions":
        """Return what a command's words ask of a run.

        Raises:
            UsageError: they make no sense.
        """
        from bucket_loader.runs import read_options

        return read_options(words, spelt)

    def obey(self, words: Mapping[str, Any]) -> None:
        """Write on stdout and stderr what the words ask for."""
        self.as_json = words["as_json"]
        if words["quiet"]:
            self.output.be_quiet()

    # --- from what came of it to an exit code ---

    def say(self, text: str) -> None:
        """Write a line that a person may want to read."""
        from bucket_loader.reporting import Note

        self.output.tell(Note(text))

    def answer(self, found: object) -> None:
        """Print what a program asked for; nothing when a person asked."""
        if self.as_json:
            click.echo(json.dumps(found))

    def end_run(self, summary: "Summary") -> NoReturn:
        """End as a run ended."""
        from bucket_loader.reporting import RunEnded

        if summary.error is not None:
            self._fill(summary.error)
        self.output.tell(RunEnded(summary))
        self.answer(summary.as_json())
        raise click.exceptions.Exit(summary.exit_code)

    def fail(self, error: BucketLoaderError) -> NoReturn:
        """End with an error of ours."""
        from bucket_loader.reporting import CommandFailed

        self._fill(error)
        self.output.tell(CommandFailed(error))
        self.answer({"status": "failed", "exit_code": error.exit_code,
                     "error": {"message": error.message, "hint": error.hint}})  # fmt: skip
        sys.exit(error.exit_code)

    def _fill(self, error: BucketLoaderError) -> None:
        error.hint = self.output.commands.filled(error.hint)
