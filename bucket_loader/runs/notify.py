"""Who is told how a run ended: `notify:` of the pipeline file.

    run --ends, however it does--> summary --is asked for--> message --at most three times--> webhook
                                      |--> a note in the ledger: the first success after it is `recovered`

What a webhook does changes nothing about the run: it is told when the state is closed, and one that cannot be told is
a warning.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from shlex import join
from typing import Final

from bucket_loader.config import Notify, Occasion
from bucket_loader.delivery import post_to_webhook
from bucket_loader.model import BucketLoaderError, LedgerDamagedError, StateError, StateUnavailableError, side_by_side
from bucket_loader.reporting import Commands, NotTold, Secrets, Summary, notice_of
from bucket_loader.runs.job import Job
from bucket_loader.state import Given, State

TIMEOUT_S: Final = 3.0
WAITS_S: Final = (0.0, 0.25, 0.75)
"""Before each attempt. With them and the timeout nobody waits for a webhook for longer than ten seconds."""

TOLD: Final = "told since the last success"  # a note of the ledger: the endings that somebody was told of
_AT_ONCE: Final = 8  # webhooks
_GOOD: Final = (0, 99)
_BETTER_FIRST: Final = (None, "rejected", "held")


def occasion_of(summary: Summary) -> Occasion | None:
    """Return what of `notify:` an ending is; None for a success."""
    if summary.exit_code in _GOOD:
        return None
    if summary.held and summary.only_waits:
        return "held"
    of_codes: dict[int, Occasion] = {3: "rejected", 4: "stopped"}
    return of_codes.get(summary.exit_code, "failed")


class Telling:
    """What is to be told of one call: of its run; or of the runs of a backfill, once of all together."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._hooks = job.pipeline.notify
        self._before: set[str] | None = None  # what was told since the last success, when the call began
        self._ending: Summary | None = None

    @contextmanager
    def remembered(self, state: State) -> Iterator[None]:
        """Note in the ledger what is told of the run that takes place meanwhile, however it ends."""
        if not self._hooks:
            yield
            return
        known = set((state.ledger.meta(TOLD) or "").split())
        self._before = known if self._before is None else self._before
        try:
            yield
        except BaseException as error:
            self.failed(error)
            self._note(state, known)
            raise
        self._note(state, known)

    def ended(self, summary: Summary) -> Summary:
        """Take a run's end, and return it; of several the worst is told, and of equals the last."""
        if self._ending is None or _badness(summary) >= _badness(self._ending):
            self._ending = summary
        return summary

    def failed(self, error: BaseException) -> None:
        """Take what ended a call without a summary; the text of a bug may hold a row."""
        if not isinstance(error, BucketLoaderError):
            hint = "the log of the run has its traceback; please report it"
            error = BucketLoaderError(f"a bug, or the end of the process ({type(error).__name__})", hint=hint)
        name, code = self._job.pipeline.name, error.exit_code
        self._ending = Summary(
            run="", pipeline=name, status="failed", exit_code=code, as_of="", streams={}, error=error
        )

    def _note(self, state: State, known: set[str]) -> None:
        """Note what is told, unless the state is what failed: then it would be waited for once more."""
        ending = self._ending
        if ending is None or isinstance(ending.error, StateUnavailableError | LedgerDamagedError):
            return
        occasion, asked_for = occasion_of(ending), {word for hook in self._hooks for word in hook.on}
        now = known | ({occasion} & asked_for) if occasion else set()
        if now != known:
            with suppress(StateError, OSError):
                state.ledger.note(**{TOLD: " ".join(sorted(now))})

    # --- to the webhooks ---

    def tell(self) -> None:
        """Tell every webhook that asks for how the call ended; warn of each that could not be told."""
        if self._ending is None or (occasion := self._occasion(self._ending)) is None:
            return
        hooks = [hook for hook in self._hooks if self._asks(hook, occasion)]
        if not hooks:
            return
        body = notice_of(occasion, self._job.pipeline.destination.environment, self._ending, self._spelt)
        for hook, why in zip(hooks, side_by_side(lambda hook: self._told(hook, body), hooks, _AT_ONCE), strict=True):
            if why is not None:
                self._job.listener.tell(NotTold(hook.host, why, ended_well=occasion == "recovered"))

    def _occasion(self, ending: Summary) -> Occasion | None:
        return occasion_of(ending) or ("recovered" if self._before else None)

    def _asks(self, hook: Notify, occasion: Occasion) -> bool:
        """Whether a webhook asks for an occasion; and for `recovered`, whether it was told of what is over now."""
        was_told = bool(set(hook.on) & (self._before or set()))
        return occasion in hook.on and (occasion != "recovered" or was_told)

    def _told(self, hook: Notify, body: bytes) -> str | None:
        """Return why a webhook does not take a message; None when it does."""
        was_stopped, why = self._job.stopped.is_set(), None
        for wait_s in WAITS_S:
            if not was_stopped and self._job.stopped.wait(wait_s):
                break  # a signal asks for an end, and the run has its own
            why = post_to_webhook(hook, body, self._job.pipeline.destination, TIMEOUT_S)
            if why is None:
                break
        return why

    def _spelt(self, line: str) -> str:
        """Return a line without the secrets of the pipeline, and with the file that its commands are for."""
        commands, secrets = Commands(), Secrets()
        secrets.add(self._job.pipeline)
        if self._job.file is not None:
            commands.pipeline = join([str(self._job.file), *_state_words(self._job.options.state)])
        return secrets.scrubbed(commands.filled(line))


def _state_words(given: Given) -> Iterator[str]:
    for place in [given] if isinstance(given, str | Path) else given or ():
        yield from ("--state", str(place))


@contextmanager
def telling(job: Job) -> Iterator[Telling]:
    """Tell who is to be told how what takes place meanwhile ended, also when nothing could be sent."""
    told = Telling(job)
    try:
        yield told
    except BaseException as error:
        told.failed(error)
        raise
    finally:
        told.tell()


def _badness(summary: Summary) -> int:
    occasion = occasion_of(summary)
    return _BETTER_FIRST.index(occasion) if occasion in _BETTER_FIRST else len(_BETTER_FIRST)
