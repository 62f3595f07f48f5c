"""A job: a pipeline, what is asked of it, and who hears of it. `make_job` is the one way to one, for every door.

words of the command line, of Python, of Airflow --read_options--> RunOptions --make_job--> Job
"""

import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from bucket_loader.config import Pipeline, Share, duration_s, share
from bucket_loader.delivery import Outside
from bucket_loader.model import (
    InterruptedRunError,
    StateError,
    StateLockedError,
    UsageError,
    Wait,
    did_you_mean,
    require_utf8,
    shown_path,
)
from bucket_loader.reporting import LineageListener, Listener, Note, RowsRead, WaitEnded, Waits
from bucket_loader.runs.emulated import meet_emulator
from bucket_loader.state import FOLDER, Given, State, StatePlace, Waiting, Wanted, open_beside, open_state, read_place

Interval = tuple[datetime, datetime]
ENGINES: Final = ("local", "spark")
Spelling = Callable[..., str]
"""Spells an option, alone or with its value, as the caller wrote it."""


def _seconds(value: object) -> float:
    return value if isinstance(value, float) else duration_s(value)


def _share(value: object) -> Share:
    return value if isinstance(value, Share) else share(value)


def _engine(value: object) -> str:
    if value not in ENGINES:
        raise ValueError(f"is none of {', '.join(ENGINES)}")
    return str(value)


@dataclass(frozen=True)
class RunOptions:
    """What is asked of a run: an option of the command line each, and a word of `load()` (DESIGN section 5).

    Attributes:
        as_of: the time of records that have none of their own; the interval's end by default, or now.
        interval: from when until when, the end itself not included; bound in queries and paths.
        streams: only these streams, by their names; all by default.
        limit: how many rows of each stream are read at most; then no cursor moves and nothing is removed.
        full: send every user and company, changed or not; never what was appended before.
        accept_changes: go on although the source is empty or more has changed than the file's `limits:` allow; lifts
            neither `rejected` nor `fresh`.
        accept_flips: go on although more features change, or more answers are unknown, than the file's `limits:` allow.
        accept_mapping: go on although a stream that sends its rows once is mapped in a new way: all are sent without
            `key:`, and with it what is known stays as it was sent.
        accept_restored: go on from a state that is an old copy of itself, without what was delivered since.
        allow_held: records that are held for a person do not keep a run from being done.
        allow_rejected: how many rejected rows, or which share of them (`"1%"`), still count as success.
        state: where the memory of runs lies: a folder, or URLs; `.bucket_loader` beside the pipeline file by default.
        wait_for_lock: how long to wait for another copy to end: seconds, or a duration such as `"10m"`.
        senders: how many processes of this machine send the run; more than one need a ledger on PostgreSQL.
        retry_refused: whether rows that the API has refused before, with the same bytes, are sent again: always, never,
            or, when neither is said, once a day.
        expect_state: refuse to start without the state of an earlier run.
        impact: say which features change, and hold some predictions against the API once the run is done.
        key_rotated: accept that the key is not the one of earlier runs.
        exit_6_when_held: end with exit code 6 instead of 75 when only records that are held for a person are left.
        exit_99_when_empty: end with exit code 99 when there was nothing to do.
        plan: send exactly this plan: the folder that `plan` named.
        lineage: where OpenLineage events go: an address, or a file that they are added to; by default where the
            variables of OpenLineage's client say, or nowhere.
        max_age: how old that plan may be: seconds, or a duration such as `"24h"`; any age by default.
        patience: how long an outage is waited out: seconds, or a duration; the pipeline file's by default.
        processes: how many processes of this machine plan; as many as help by default.
        engine: what makes the plan: this machine (`"local"`), or the tasks of a Spark session (`"spark"`).
    """

    as_of: datetime | None = None
    interval: Interval | None = None
    streams: tuple[str, ...] = ()
    limit: int | None = None
    full: bool = False
    accept_changes: bool = False
    accept_flips: bool = False
    accept_mapping: bool = False
    accept_restored: bool = False
    allow_held: bool = False
    allow_rejected: Share | None = field(default=None, metadata={"read": _share})
    senders: int = 1
    retry_refused: bool | None = None
    state: Given = field(default=None, repr=False)  # a URL in it may hold a password
    wait_for_lock: float = field(default=0.0, metadata={"read": _seconds})
    expect_state: bool = False
    impact: bool = False
    key_rotated: bool = False
    exit_6_when_held: bool = False
    exit_99_when_empty: bool = False
    lineage: str | None = field(default=None, repr=False)  # an address may hold a password
    plan: Path | None = None
    max_age: float | None = field(default=None, metadata={"read": _seconds})
    patience: float | None = field(default=None, metadata={"read": _seconds})
    processes: int | None = None
    engine: str = field(default="local", metadata={"read": _engine})


OPTIONS: Final = frozenset(one.name for one in fields(RunOptions))


@dataclass
class Job:
    """A pipeline, what is asked of it, and who is told.

    Attributes:
        pipeline: the pipeline file.
        base: the folder that its relative paths start from.
        options: what is asked.
        listener: told what happens.
        file: the pipeline file itself, for `replay` to find it by; None when there is none.
        has_key: whether the pipeline's key is real; looking at past runs needs none.
        unnamed: whether the pipeline is a DataFrame that was given no name.
        in_host: whether the process is another program's: what a second signal does is for that one to say.
        stopped: set by a signal, and by what ends the sending: drain.
        signalled: whether a signal came.
        signal_number: which one.
        outside: how it sends, and what time it is.
        lineage: hears what each stream reads and writes; None where nobody asks.
        reached: whether anything was there where it sends to.
        gives_up_s: when it gives up to wait for another copy (`now_s`), where it does so several times; None for once.
    """

    pipeline: Pipeline
    base: Path
    options: RunOptions
    listener: Listener
    file: Path | None = None
    has_key: bool = True
    unnamed: bool = False
    in_host: bool = False
    stopped: threading.Event = field(default_factory=threading.Event)
    signalled: bool = False
    signal_number: int = signal.SIGINT
    outside: Outside = field(default_factory=Outside)
    lineage: LineageListener | None = None
    reached: bool = False
    gives_up_s: float | None = None

    @property
    def state_place(self) -> StatePlace:
        """Where states lie: `--state`, or beside the pipeline file."""
        place = read_place(self.options.state, self.base / FOLDER)
        require_utf8(place.folder.absolute(), f"the path of the state, {shown_path(place.folder)},")
        return place

    def drain(self, number: int = signal.SIGINT) -> None:
        """Finish what is in flight, and end, as on a signal."""
        self.signalled, self.signal_number = True, number
        self.stopped.set()

    def require_streams(self) -> None:
        """Refuse streams that are asked for and are not in the pipeline.

        Raises:
            UsageError: one is not.
        """
        names = [stream.name for stream in self.pipeline.streams]
        for name in self.options.streams:
            if name not in names:
                hint = did_you_mean(name, names, f"the pipeline has: {', '.join(names)}")
                raise UsageError(f"no stream is named {name!r}", hint=hint)

    def open_state(self) -> State:
        """Open and lock this pipeline's state.

        Raises:
            StateError: the state is not this pipeline's, is damaged, or is in use.
            InterruptedRunError: a signal came while another copy was waited for.
        """
        with self._interrupted():
            state = open_state(self.pipeline, self.state_place, self._wanted())
        if (kept := state.ledger.kept_copy) is not None:
            self.listener.tell(Note(f"the ledger was of an older version; as it was before, it is kept as {kept}"))
        return state

    def open_beside(self, run: str) -> tuple[State, str]:
        """Open this pipeline's state beside others, as one of the senders of a run; return it, and the sender's name.

        Raises:
            StateError: as `open_state`.
            UsageError: the state's ledger is for one process at a time.
        """
        with self._interrupted():
            return open_beside(self.pipeline, self.state_place, run, self._wanted())

    def _wanted(self) -> Wanted:
        return Wanted(
            expect=self.options.expect_state,
            key_rotated=self.options.key_rotated,
            check_key=self.has_key,
            first=lambda state: meet_emulator(self.pipeline.destination, state, self.listener.tell),
            waiting=self.waiting,
        )

    @property
    def waiting(self) -> Waiting:
        """How long another copy, or a server that is away, is waited for."""
        lock_s, patience_s = self.options.wait_for_lock, self.pipeline.destination.patience
        return Waiting(lock_s, patience_s, self.gives_up_s, self.stopped, self._waits)

    @contextmanager
    def _interrupted(self) -> Iterator[None]:
        """Word what a signal ends: another copy was waited for."""
        try:
            yield
        except StateLockedError:
            if self.stopped.is_set():
                raise InterruptedRunError(self.signal_number) from None
            raise

    def _waits(self, wait: Wait | None) -> None:
        """Report what the state waits for; None when that is over."""
        self.listener.tell(WaitEnded() if wait is None else Waits(wait))

    def progress(self, stream: str, read: int, rejected: int) -> None:
        """Report how far the reading is; end it when a signal asked for that.

        Raises:
            InterruptedRunError: a signal came.
        """
        self.listener.tell(RowsRead(stream, read, rejected))
        self.require_not_stopped()

    def require_not_stopped(self) -> None:
        """End what can be ended, where a signal asked for that.

        Raises:
            InterruptedRunError: a signal came.
        """
        if self.stopped.is_set():
            raise InterruptedRunError(self.signal_number)


def make_job(
    pipeline: Pipeline,
    options: RunOptions,
    listener: Listener,
    *,
    file: Path | None = None,
    has_key: bool = True,
) -> Job:
    """Return a job.

    Args:
        pipeline: what is to be loaded, and where to.
        options: what is asked of it.
        listener: told what happens.
        file: the pipeline file; None when the pipeline was made in Python.
        has_key: whether the pipeline's key is real.
    """
    if options.patience is not None:
        destination = pipeline.destination.model_copy(update={"patience": options.patience})
        pipeline = pipeline.model_copy(update={"destination": destination})
    base = Path.cwd() if file is None else file.absolute().parent
    require_utf8(base, f"the folder of the pipeline, {shown_path(base)},")
    return Job(pipeline, base, options, listener, file=file, has_key=has_key)


@contextmanager
def opened(job: Job) -> Iterator[State]:
    """Open and lock the job's state, and close it at the end.

    Raises:
        StateError: it was lost meanwhile, whatever went wrong then.
    """
    state = job.open_state()
    try:
        yield state
    except (OSError, StateError):
        if (lost := state.lost()) is not None:
            raise lost from None
        raise
    finally:
        state.close()


# --- from words to options -----------------------------------------------------------------------------------------


def spelt_in_python(name: str, *value: object) -> str:
    """Return an option as Python spells it: `limit`, or `limit=5` with its value."""
    return "=".join([name, *map(repr, value)])


def read_options(words: Mapping[str, Any], spelt: Spelling = spelt_in_python) -> RunOptions:
    """Return the options that are among a caller's words; other words are left alone.

    Args:
        words: values by an option's name, None where one is not given. The interval may be given as `interval_start`
            and `interval_end`; shares and durations may be texts.
        spelt: spells an option in messages.

    Raises:
        UsageError: a value makes no sense.
    """
    given = {name: words[name] for name in OPTIONS if words.get(name) is not None}
    start, end = given.get("interval", (words.get("interval_start"), words.get("interval_end")))
    given["interval"] = read_interval(start, end, spelt)
    for option in fields(RunOptions):
        if option.name in given and (read := option.metadata.get("read")) is not None:
            given[option.name] = _read(read, spelt, option.name, given[option.name])
    if "max_age" in given and "plan" not in given:
        raise UsageError(f"{spelt('max_age')} is for a plan that was made before", hint=f"give {spelt('plan')} with it")
    return RunOptions(**given)


def _read(read: Callable[[object], object], spelt: Spelling, name: str, value: object) -> object:
    try:
        return read(value)
    except ValueError as error:
        raise UsageError(f"{spelt(name, value)}: {error}") from None


def read_duration_s(value: object, name: str, spelt: Spelling = spelt_in_python) -> float:
    """Return the seconds of a duration such as `10m`.

    Raises:
        UsageError: it is none.
    """
    return float(str(_read(_seconds, spelt, name, value)))


def read_interval(start: datetime | None, end: datetime | None, spelt: Spelling = spelt_in_python) -> Interval | None:
    """Return the interval between two moments; None when neither is given.

    Raises:
        UsageError: one is missing, or the end is not after the start.
    """
    if start is None and end is None:
        return None
    if start is None or end is None:
        both = f"{spelt('interval_start')} and {spelt('interval_end')}"
        raise UsageError("an interval has a start and an end", hint=f"give both {both}")
    if start.astimezone(UTC) >= end.astimezone(UTC):
        raise UsageError(
            "the interval is empty: its end is not after its start", hint="is the schedule's interval set?"
        )
    return start, end


def places_in(variable: str) -> list[str]:
    """Return the places in BUCKET_LOADER_STATE: blanks separate several URLs; the name of a folder may hold blanks."""
    if "://" in variable:
        return variable.split()
    return [variable] if variable else []
