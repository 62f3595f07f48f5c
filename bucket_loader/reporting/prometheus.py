"""What Prometheus is told after a run: a textfile for node_exporter, with the numbers of the summary and no more.

The file is replaced whole, so that nobody reads half of it; its name is the user's, one for each pipeline. The time of
the last success outlives the runs that fail: it is read from the file before.
"""

import importlib.util
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, assert_never

from bucket_loader.model import COUNTS, Counts, UsageError, written_whole
from bucket_loader.reporting import events
from bucket_loader.reporting.summary import Summary

PREFIX: Final = "bucket_loader_last"
SUCCESS: Final = f"{PREFIX}_success_timestamp_seconds"
_SUCCEEDED: Final = {0, 99}  # all delivered, or nothing to do


@dataclass(frozen=True)
class LastRun:
    """How a command ended, and its numbers; a command that failed before it had a run has none."""

    exit_code: int
    seconds: float
    streams: Mapping[str, Counts] | None = None
    requests: int = 0
    retries: int = 0


def last_run(exit_code: int, summaries: Sequence[Summary]) -> LastRun:
    """Return the numbers of one run or several; what each finished first is counted with it."""
    streams = [streams for one in summaries for streams in (one.streams, *(old.streams for old in one.resumed))]
    return LastRun(
        exit_code,
        sum(one.seconds for one in summaries),
        together(streams),
        sum(one.requests for one in summaries),
        sum(one.retries for one in summaries),
    )


class Textfile:
    """A file of metrics that one pipeline's runs replace: a listener that waits for the end of a command.

    Args:
        path: the file.
        began_s: when the command began, on the monotonic clock.
        complain: told when the file cannot be written, which does not change how the command ends.

    Raises:
        UsageError: nothing could ever be written; said before anything is sent.
    """

    period_s: float | None = None

    def __init__(self, path: Path, began_s: float, complain: events.Tell) -> None:
        if importlib.util.find_spec("prometheus_client") is None:
            raise UsageError("--metrics needs prometheus-client", hint="pip install 'bucket-loader[metrics]'")
        self.path = path.absolute()
        if not os.access(self.path.parent, os.W_OK | os.X_OK) or self.path.is_dir():
            raise UsageError(
                f"the metrics cannot be written to {self.path}",
                hint="give a file in a folder that exists, and in which this user may make files",
            )
        self._labels: dict[str, str] | None = None
        self._began_s = began_s
        self._complain = complain

    def belongs_to(self, pipeline: str, environment: str) -> None:
        """Name the pipeline; until then a failure is told of the one whose numbers the file holds."""
        self._labels = {"pipeline": pipeline, "environment": environment}

    def tell(self, event: events.Event) -> None:
        """Write the numbers of a command that ended."""
        if not isinstance(event, events.Ending):
            return
        try:
            self.write(self._numbers(event))
        except OSError as error:
            self._complain(events.Complaint(f"the metrics cannot be written to {self.path}: {error.strerror}"))

    def _numbers(self, event: events.Ending) -> LastRun:
        match event:
            case events.RunEnded():
                return last_run(event.exit_code, [event.summary])
            case events.WindowsEnded():
                return last_run(event.exit_code, event.summaries)
            case (
                events.AssertionsEnded()
                | events.CommandFailed()
                | events.CommandCrashed()
                | events.CommandInterrupted()
            ):
                return LastRun(event.exit_code, time.monotonic() - self._began_s)
            case _:
                assert_never(event)

    def write(self, run: LastRun) -> None:
        """Replace the file.

        Raises:
            OSError: the disk refuses; the file is what it was.
        """
        now = time.time()
        labels, succeeded_at = self._before()
        if run.exit_code in _SUCCEEDED:
            succeeded_at = now
        text = _text(run, self._labels or labels, now, succeeded_at)
        being_written = self.path.with_name(f".{self.path.name}.{os.getpid()}")  # not *.prom: nobody reads it
        # Its name need not survive a power cut, and its folder may be one that this user cannot read.
        with written_whole(self.path, beside=being_written, sync_folder=False) as file:
            os.fchmod(file.fileno(), 0o644)  # node_exporter is another user
            file.write(text)

    def _before(self) -> tuple[dict[str, str], float]:
        """Return whose numbers the file holds, and when this pipeline last succeeded: 0 for never."""
        from prometheus_client.parser import text_string_to_metric_families

        try:
            found = list(text_string_to_metric_families(self.path.read_text("utf-8")))
        except (OSError, ValueError):  # there is none, or something else wrote it
            found = []
        for family in found:
            for sample in family.samples:
                if sample.name == SUCCESS and self._labels in (None, sample.labels):
                    return sample.labels, sample.value
        return {"pipeline": self.path.stem, "environment": ""}, 0.0


def together(many: Iterable[Mapping[str, Counts]]) -> dict[str, Counts]:
    """Add up the counts of several runs, by stream."""
    found: dict[str, Counts] = {}
    for streams in many:
        for name, counts in streams.items():
            found[name] = found.get(name, Counts()) + counts
    return found


def _text(run: LastRun, labels: Mapping[str, str], now: float, succeeded_at: float) -> bytes:
    from prometheus_client import CollectorRegistry, Gauge, generate_latest

    registry = CollectorRegistry()

    def gauge(name: str, meaning: str, value: float) -> None:
        Gauge(name, meaning, list(labels), registry=registry).labels(**labels).set(value)

    gauge(f"{PREFIX}_run_exit_code", "Exit code of the last run", run.exit_code)
    gauge(f"{PREFIX}_run_timestamp_seconds", "When the last run ended", now)
    gauge(f"{PREFIX}_run_duration_seconds", "How long the last run took", run.seconds)
    gauge(SUCCESS, "When a run last ended with exit code 0; 0 for never", succeeded_at)
    if run.streams is not None:
        gauge(f"{PREFIX}_run_requests", "Requests of the last run", run.requests)
        gauge(f"{PREFIX}_run_retries", "Requests of the last run that were repeats", run.retries)
        for one in COUNTS:
            by_stream = Gauge(f"{PREFIX}_run_{one.name}", one.says, [*labels, "stream"], registry=registry)
            for stream, counts in run.streams.items():
                by_stream.labels(**labels, stream=stream).set(getattr(counts, one.name))
    return generate_latest(registry)
