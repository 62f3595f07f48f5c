"""Every error that stops a run, as one tree.

    BucketLoaderError                     exit 1: a bug, when nothing below fits
    ├── UsageError                        exit 2: the command line asks for what cannot be done
    ├── ConfigError                       exit 2: mistakes in the pipeline file, all of them at once
    ├── SourceError                       exit 2: a source that is refused: missing, malformed, changed while read
    │   └── SourceUnavailableError        exit 75: a source that cannot be reached right now
    ├── StateError                        exit 2: the state belongs to something else, or is damaged
    │   ├── StateLockedError              exit 75: another copy is running on this state
    │   ├── StateUnavailableError         exit 75: the state cannot be written right now: a full disk
    │   └── LedgerDamagedError            exit 2: the ledger's file fails its own check
    ├── StoppedError                      exit 4: the run was stopped on purpose, before it could do harm
    │   ├── LimitError                    exit 4: an export that is outside of what `limits:` allow
    │   ├── UpstreamError                 exit 4: what a source is made from is not as the source's `require:` says
    │   └── SystemicRejectionError        exit 4: the API refuses (nearly) everything: a mapping mistake
    ├── DestinationError                  exit 5: the API will not have us; retrying cannot help
    │   ├── KeyRefusedError               exit 5: 401 or 403
    │   └── MisroutedError                exit 5: the answer is not Bucket's: a redirect, TLS, HTML, a 404
    ├── AuditError                        exit 1: a run's plan and ledger do not add up
    ├── RejectedRowsError                 exit 3: finished, and some rows were rejected (only for `raise_for_status`)
    ├── PatienceError                     exit 75: the outage outlived `patience`; run again to continue
    ├── EmulatorGoneError                 exit 75: the emulator was restarted or reset; run again to begin anew
    ├── ThreadsError                      exit 75: the system grants no thread where one is needed
    ├── WorkerLostError                   exit 75: a worker process of `--processes` was killed
    └── InterruptedRunError               exit 130, 143 or 129: SIGINT, SIGTERM or SIGHUP, drained

Errors stop a run; a bad row never raises, it is a `Rejection` (see `rows`). Every error carries a hint:
what the person should do next. No message holds a key, a password or a value from a row.
The docstring of each says its cause and what mends it; the page of errors in the docs is made from them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar


class BucketLoaderError(Exception):
    """The root of the tree: a message, and a hint that says what to do next.

    Cause: something that nobody foresaw. What has no kind of its own is a bug.
    Mend: Report it, with its traceback. Running the same command again is safe.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __reduce__(self) -> "tuple[Callable[..., BucketLoaderError], tuple[object, ...]]":
        # Python would call the class with the message, which not every one takes.
        return _remade, (type(self), self.args, vars(self))

    def __str__(self) -> str:
        return f"{self.message}\n  hint: {self.hint}" if self.hint else self.message


def _remade(
    kind: type[BucketLoaderError], arguments: tuple[object, ...], attributes: dict[str, object]
) -> BucketLoaderError:
    """Return an error that comes from another process."""
    error = kind.__new__(kind, *arguments)
    vars(error).update(attributes)
    return error


class UsageError(BucketLoaderError):
    """The command line asks for something that cannot be done.

    Cause: an option, a name or a word does not fit the command, the pipeline or the data; often it is misspelt.
    Mend: Follow the hint below the message, and run the command again. Nothing was sent.
    """

    exit_code = 2


@dataclass(frozen=True)
class Mistake:
    """One mistake in the pipeline file: where it is, what it is, and what to write instead."""

    path: str
    message: str
    hint: str = ""
    line: int | None = None
    column: int | None = None


class ConfigError(BucketLoaderError):
    """The pipeline file has mistakes; all that could be found are reported together.

    Cause: a word of the file is unknown, missing, or has a value that it cannot have.
    Mend: Go to the line and column that each mistake names. `bucket-loader check` reads the file and sends nothing.
    """

    exit_code = 2

    def __init__(self, file: str, mistakes: list[Mistake]) -> None:
        self.file = file
        self.mistakes = sorted(mistakes, key=lambda mistake: (mistake.line or 0, mistake.column or 0, mistake.path))
        noun = "mistake" if len(mistakes) == 1 else "mistakes"
        super().__init__("\n".join([f"{file}: {len(mistakes)} {noun}", *map(self._line, self.mistakes)]))

    def _line(self, mistake: Mistake) -> str:
        place = f"{self.file}:{mistake.line}:{mistake.column}" if mistake.line is not None else self.file
        where = f"{mistake.path}: " if mistake.path else ""
        hint = f"\n      hint: {mistake.hint}" if mistake.hint else ""
        return f"  {place}: {where}{mistake.message}{hint}"


class SourceError(BucketLoaderError):
    """A source is refused: it is missing, malformed, or changed while it was read.

    Cause: the path or table is wrong, the file is damaged, or another program wrote it while it was read.
    Mend: Follow the hint. Write exports under another name and rename them when they are whole. Nothing was sent.
    """

    exit_code = 2


class SourceUnavailableError(SourceError):
    """A source cannot be reached right now; trying later may help.

    Cause: a database or a store is down, locked, or does not answer.
    Mend: Run again later; a scheduler may do so by itself. Nothing was sent.
    """

    exit_code = 75


class StateError(BucketLoaderError):
    """The state does not belong to this pipeline and key, or cannot be used.

    Cause: the state is of another pipeline, key or version, is an old copy, or lacks files that it should have.
    Mend: Follow the hint. Do not delete the state to get on: it is the memory of what was sent.
    """

    exit_code = 2


class OtherPlaceError(StateError):
    """What is remembered was delivered to something else than what answers now.

    Cause: an address of this machine led to Bucket (a tunnel, a sidecar) and leads to an emulator now, or the reverse.
    Mend: Bring back what was there before, or give what is there now a memory of its own with `--state FOLDER`.
    """


class StateLockedError(StateError):
    """Another copy is running on this state.

    Cause: an earlier run still works, or two schedulers start the same pipeline.
    Mend: Wait for the other, or stop it. The lock ends with its process; there is no file to delete.
    """

    exit_code = 75


class StateUnavailableError(StateError):
    """The state cannot be written right now.

    Cause: the disk is full, or the server or store of the state does not answer.
    Mend: Free the room that the message names, or bring the server back, and run again. It continues.
    """

    exit_code = 75


class LedgerDamagedError(StateError):
    """The ledger fails its own integrity check.

    Cause: its file was changed by another program, copied while a run wrote it, or harmed by the disk.
    Mend: Restore the whole state from a backup. Without one, move it away, look at Bucket, and run with `--full`.
    """


class StoppedError(BucketLoaderError):
    """The run was stopped on purpose before it could do harm.

    Cause: what would have been sent is outside of what the pipeline allows.
    Mend: Look at it with `bucket-loader plan --diff`. The next run plans anew.
    """

    exit_code = 4


@dataclass(frozen=True)
class Stop:
    """What a gate stops a run for: its name, the stream, what is over the limit, and what to do next.

    Attributes:
        stream: empty where it is about the whole plan.
        lifted: whether `--accept-changes` lets it pass.
    """

    stream: str
    gate: str
    text: str
    hint: str
    lifted: bool

    @property
    def sentence(self) -> str:
        """What is over the limit, with the stream, where it is of one."""
        return f"stream {self.stream!r}: {self.text}" if self.stream else self.text


class LimitError(StoppedError):
    """An export, or what it would change, is outside of what the pipeline's `limits:` allow.

    Cause: a mapping mistake, an export that is empty, old or cut short, or a change that was meant.
    Mend: Look with `plan --diff`. If the change was meant, `run --accept-changes` sends it once.
    """

    def __init__(self, stops: Sequence[Stop]) -> None:
        lines = [one.sentence for one in stops]
        lines[0] += "; nothing was sent"
        for_good = [one for one in stops if not one.lifted]  # where there are any, accepting the others leads nowhere
        hints = dict.fromkeys(one.hint for one in for_good or stops)
        super().__init__("\n".join(lines), hint="; ".join(hints))
        self.stops = tuple(stops)


class UpstreamError(StoppedError):
    """What a source is made from is not as its `require:` says; nothing was read.

    Cause: dbt did not build the model, not lately enough, or a test on it did not hold.
    Mend: Run `dbt build` for the model, and then the same command again.
    """


class SystemicRejectionError(StoppedError):
    """The API refuses everything, or nearly: a mapping mistake, not bad rows.

    Cause: a field has a form that Bucket does not take, in all rows.
    Mend: Read the server's words in the dead letters, correct the mapping, and run again: it plans anew.
    """


class DestinationError(BucketLoaderError):
    """The API will not have us, and retrying cannot help.

    Cause: the key or the address is not right.
    Mend: Correct `destination:`, and run again. Nothing was dead-lettered, and the run continues.
    """

    exit_code = 5


class KeyRefusedError(DestinationError):
    """The API answered 401 or 403.

    Cause: the key is wrong, of another environment, or was revoked.
    Mend: Put the right key into the variable. For a new key of the same environment add `--key-rotated` once.
    """


class MisroutedError(DestinationError):
    """What answers is not Bucket: a redirect, a TLS failure, HTML, a 404.

    Cause: `base_url` is wrong, or a proxy, a firewall or a login page answers in Bucket's place.
    Mend: Open `base_url` from the same machine, and set `proxy:` or `ca_bundle:` if it needs one.
    """


class AuditError(BucketLoaderError):
    """A run's plan and ledger do not add up: something else has changed them.

    Cause: a file of the state was edited, or only a part of it was restored.
    Mend: Trust neither. Restore the whole state from a backup, or compare with Bucket itself.
    """


class RejectedRowsError(BucketLoaderError):
    """The run finished, and some rows were rejected.

    Cause: some rows cannot be mapped, or Bucket refused them. Only `raise_for_status()` raises it.
    Mend: Read the reasons in the dead letters. If a few are normal, `allow_rejected="1%"` makes them a success.
    """

    exit_code = 3


class PatienceError(BucketLoaderError):
    """The outage outlived `patience`; nothing is lost, running again continues.

    Cause: Bucket, or the way to it, is down, overloaded, or asks to wait for longer than `patience`.
    Mend: Run the same command again later. `--patience 2h` waits longer.
    """

    exit_code = 75


class EmulatorGoneError(BucketLoaderError):
    """What was sent so far is in an emulator that is gone; running again begins anew with the one that is there.

    Cause: the emulator was restarted, reset or restored while the run was under way.
    Mend: Run again. `--data FOLDER` lets an emulator keep what it has over a restart.
    """

    exit_code = 75


class ThreadsError(BucketLoaderError):
    """The system grants no thread where at least one is needed.

    Cause: the limit of processes and threads of the user, the container or the unit is reached.
    Mend: Raise it (`ulimit -u`, `pids_limit`, `TasksMax`), and run again.
    """

    exit_code = 75
    REFUSED: ClassVar[str] = "can't start new thread"  # Python's own words

    def __init__(self) -> None:
        super().__init__(
            "the system grants no further thread",
            hint="raise the limit of processes and threads (`ulimit -u`, `pids_limit`, `TasksMax`), and run again",
        )


class WorkerLostError(BucketLoaderError):
    """A worker process of `--processes` ended before its work was done.

    Cause: most often the system killed it, since the machine or the container had no memory left.
    Mend: Run again with `--processes 1`, which takes least memory, or give the run more. Nothing was sent.
    """

    exit_code = 75


class InterruptedRunError(BucketLoaderError):
    """A signal asked the run to end; it drained, and running again continues.

    Cause: Ctrl-C, a scheduler's stop, or a shutdown.
    Mend: Run the same command again. It continues where it stopped.
    """

    def __init__(self, signal_number: int) -> None:
        super().__init__("interrupted; nothing is lost", hint="run the same command again to continue")
        self.signal_number = signal_number
        self.exit_code = 128 + signal_number  # type: ignore[misc]  # the one error whose code depends on the cause
