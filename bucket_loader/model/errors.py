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
    │   ├── LimitError                    exit 4: more was rejected or changed than `limits:` allows
    │   └── SystemicRejectionError        exit 4: the API refuses (nearly) everything: a mapping mistake
    ├── DestinationError                  exit 5: the API will not have us; retrying cannot help
    │   ├── KeyRefusedError               exit 5: 401 or 403
    │   └── MisroutedError                exit 5: the answer is not Bucket's: a redirect, TLS, HTML, a 404
    ├── AuditError                        exit 1: a run's plan and ledger do not add up
    ├── RejectedRowsError                 exit 3: finished, and some rows were rejected (only for `raise_for_status`)
    ├── PatienceError                     exit 75: the outage outlived `patience`; run again to continue
    ├── EmulatorGoneError                 exit 75: the emulator was restarted or reset; run again to begin anew
    └── InterruptedRunError               exit 130, 143 or 129: SIGINT, SIGTERM or SIGHUP, drained

Errors stop a run; a bad row never raises, it is a `Rejection` (see `records`). Every error carries a hint:
what the person should do next. No message holds a key, a password or a value from a row.
"""

from dataclasses import dataclass
from typing import ClassVar


class BucketLoaderError(Exception):
    """The root of the tree: a message, and a hint that says what to do next."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  hint: {self.hint}" if self.hint else self.message


class UsageError(BucketLoaderError):
    """The command line asks for something that cannot be done."""

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
    """The pipeline file has mistakes; all that could be found are reported together."""

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
    """A source is refused: it is missing, malformed, or changed while it was read."""

    exit_code = 2


class SourceUnavailableError(SourceError):
    """A source cannot be reached right now; trying later may help."""

    exit_code = 75


class StateError(BucketLoaderError):
    """The state does not belong to this pipeline and key, or cannot be used."""

    exit_code = 2


class StateLockedError(StateError):
    """Another copy is running on this state."""

    exit_code = 75


class StateUnavailableError(StateError):
    """The state cannot be written right now."""

    exit_code = 75


class LedgerDamagedError(StateError):
    """The ledger fails its own integrity check."""


class StoppedError(BucketLoaderError):
    """The run was stopped on purpose before it could do harm."""

    exit_code = 4


class LimitError(StoppedError):
    """More was rejected, or more has changed, than the pipeline's `limits:` allow."""


class SystemicRejectionError(StoppedError):
    """The API refuses everything, or nearly: a mapping mistake, not bad rows."""


class DestinationError(BucketLoaderError):
    """The API will not have us, and retrying cannot help."""

    exit_code = 5


class KeyRefusedError(DestinationError):
    """The API answered 401 or 403."""


class MisroutedError(DestinationError):
    """What answers is not Bucket: a redirect, a TLS failure, HTML, a 404."""


class AuditError(BucketLoaderError):
    """A run's plan and ledger do not add up: something else has changed them."""


class RejectedRowsError(BucketLoaderError):
    """The run finished, and some rows were rejected."""

    exit_code = 3


class PatienceError(BucketLoaderError):
    """The outage outlived `patience`; nothing is lost, running again continues."""

    exit_code = 75


class EmulatorGoneError(BucketLoaderError):
    """What was sent so far is in an emulator that is gone; running again begins anew with the one that is there."""

    exit_code = 75


class ThreadsError(BucketLoaderError):
    """The system grants no thread where at least one is needed."""

    exit_code = 75
    REFUSED: ClassVar[str] = "can't start new thread"  # Python's own words

    def __init__(self) -> None:
        super().__init__(
            "the system grants no further thread",
            hint="raise the limit of processes and threads (`ulimit -u`, `pids_limit`, `TasksMax`), and run again",
        )


class InterruptedRunError(BucketLoaderError):
    """A signal asked the run to end; it drained, and running again continues."""

    def __init__(self, signal_number: int) -> None:
        super().__init__("interrupted; nothing is lost", hint="run the same command again to continue")
        self.signal_number = signal_number
        self.exit_code = 128 + signal_number  # type: ignore[misc]  # the one error whose code depends on the cause
