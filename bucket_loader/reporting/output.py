"""What stderr is while a command runs: lines for people, or JSON objects for programs; in a quiet run, only at need."""

import logging
import sys
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from bucket_loader.reporting import events
from bucket_loader.reporting.commands import Commands
from bucket_loader.reporting.lineage.value import LINEAGE_THREAD
from bucket_loader.reporting.terminal import give_up_stderr

# Which of the listeners a command needs is known when it runs: each is imported when it is made.
if TYPE_CHECKING:
    from bucket_loader.config import Pipeline
    from bucket_loader.reporting.json_lines import Objects
    from bucket_loader.reporting.prometheus import Textfile

FORMATS: Final = ("text", "json")
VARIABLE: Final = "BUCKET_LOADER_LOG_FORMAT"
HELD_MAX: Final = 200  # lines of a quiet run that may still fail


def asked_for(words: Sequence[str], variables: Mapping[str, str]) -> str:
    """Find the format in a command's words, before they are understood: a mistake in them is told in it, too."""
    for before, word in pairwise(["", *words]):
        name, _, value = word.partition("=")
        if name == "--log-format" and value in FORMATS:
            return value
        if before == "--log-format" and word in FORMATS:
            return word
    return "json" if variables.get(VARIABLE, "").lower() == "json" else "text"


class Output:
    """Owns what is written while a command runs, and tells the listeners of its format and of its metrics."""

    def __init__(self, form: str = "text") -> None:
        self.is_json = form == "json"
        self._lines = _Lines()
        self.commands = Commands()
        self._objects = _json_objects(self.commands) if self.is_json else None
        self._own: events.Listener | None = None
        self._metrics: Textfile | None = None
        self._handler = _Handler(self._lines)
        self._handler.setLevel(logging.WARNING)
        self._handler.addFilter(lambda record: record.threadName != LINEAGE_THREAD)  # one warning of ours says it
        text = logging.Formatter("%(levelname)s %(message)s")
        self._handler.setFormatter(text if self._objects is None else self._objects.formatter())

    def __enter__(self) -> Self:
        """Begin to write what is logged."""
        if sys.stderr is None:  # else the next file that is opened would be stderr to every library
            give_up_stderr()
        self._excepthook = threading.excepthook
        logging.getLogger().addHandler(self._handler)
        if self.is_json:
            logging.captureWarnings(capture=True)
            threading.excepthook = lambda args: self.tell(events.ThreadCrashed(args.exc_type, args.exc_traceback))
        return self

    def __exit__(self, *_: object) -> None:
        """Leave everything as it was."""
        logging.getLogger().removeHandler(self._handler)
        threading.excepthook = self._excepthook
        if self.is_json:
            logging.captureWarnings(capture=False)

    def be_quiet(self) -> None:
        """Say nothing of a command that goes well: lines are held until it fails."""
        self._lines.hold()
        self._own = self._listener(quiet=True)

    def measure(self, file: Path, began_s: float) -> None:
        """Write the metrics of the command that began then to a file.

        Raises:
            UsageError: it cannot be written.
        """
        from bucket_loader.reporting.prometheus import Textfile

        self._metrics = Textfile(file, began_s, complain=self.tell)

    def belongs_to(self, pipeline: "Pipeline") -> None:
        """Name the pipeline in every object and in the metrics, and let none of its secrets pass."""
        if self._objects is not None:
            self._objects.pipeline = pipeline.name
            self._objects.secrets.add(pipeline)
        if self._metrics is not None:
            self._metrics.belongs_to(pipeline.name, pipeline.destination.environment)

    @property
    def period_s(self) -> float | None:
        """How often progress is shown."""
        return self._listening.period_s

    def tell(self, event: events.Event) -> None:
        """Pass an event to every listener; what went wrong brings out the lines that were held before it."""
        goes_wrong = isinstance(event, events.Ending) and event.exit_code != 0
        if goes_wrong or isinstance(event, events.Complaint):
            self._lines.release()
        self._listening.tell(event)
        if self._metrics is not None:
            self._metrics.tell(event)

    @property
    def _listening(self) -> events.Listener:
        if self._own is None:  # made late, since the text's stands on a library that takes time to import
            self._own = self._listener(quiet=False)
        return self._own

    def _listener(self, *, quiet: bool) -> events.Listener:
        if self._objects is None:
            from bucket_loader.reporting.text import on_stderr

            return on_stderr(self.commands, quiet=quiet)
        from bucket_loader.reporting.json_lines import JsonListener

        return JsonListener(self._objects, self._lines.write, quiet=quiet)


def _json_objects(commands: Commands) -> "Objects":
    from bucket_loader.reporting.json_lines import Objects

    return Objects(commands)


class _Lines:
    """Lines to what stderr is at that moment: a progress bar puts itself in its place for a while."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._held: deque[str] | None = None

    def write(self, line: str) -> None:
        """Write a line, or hold it back; where stderr takes none, the run goes on without."""
        with self._lock:
            if self._held is not None:
                self._held.append(line)
                return
            try:
                sys.stderr.write(line + "\n")
                sys.stderr.flush()
            except OSError:
                give_up_stderr()

    def hold(self) -> None:
        """Hold lines back from now on; of many, the last."""
        self._held = deque(maxlen=HELD_MAX)

    def release(self) -> None:
        """Write what was held back, and from now on at once."""
        with self._lock:
            held, self._held = self._held or (), None
            for line in held:
                self.write(line)


class _Handler(logging.Handler):
    """Writes what is logged."""

    def __init__(self, lines: _Lines) -> None:
        super().__init__()
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record's line."""
        try:
            line = self.format(record)
        except (TypeError, ValueError):  # a library filled its own words in wrongly
            line = f"{record.levelname} {record.name}: {record.msg!s}"
        self._lines.write(line)
