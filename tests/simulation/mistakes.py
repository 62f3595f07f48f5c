"""Mistakes that a delivery can have, each planted into the real code: the simulation has to find every one of them.

A mistake is a name and the change it makes; `planted` puts it in for as long as a `with` lasts.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import patch

import numpy as np

from bucket_loader.delivery import attempts, deliver as delivery, queue as chunk_queue, worker
from bucket_loader.delivery.http import retry
from bucket_loader.model.outcomes import Verdict
from bucket_loader.planning import plan_file as plan
from bucket_loader.runs import deliver as delivering, end, settle
from bucket_loader.state.ledger import Conclusion, Ledger, ledger

MISTAKES: dict[str, Callable[[], "list[tuple[Any, str, Any]]"]] = {}


def mistake(make: Callable[[], "list[tuple[Any, str, Any]]"]) -> Callable[[], "list[tuple[Any, str, Any]]"]:
    """Note a mistake under its function's name."""
    MISTAKES[make.__name__] = make
    return make


@contextlib.contextmanager
def planted(name: str) -> Iterator[None]:
    """Make a mistake for as long as the `with` lasts."""
    with contextlib.ExitStack() as stack:
        for where, attribute, instead in MISTAKES[name]():
            stack.enter_context(patch.object(where, attribute, instead))
        yield


@mistake
def no_intent_before_sending() -> Any:
    """The intent is committed with the outcome, not before the first byte."""
    intended = {}
    real = Ledger.go_on

    def go_on(self: Ledger, run_name: str, ended: Any, following: Any) -> None:
        intended.update({chunk.members: chunk for chunk in following})
        self._commit([(ledger._INTEND, ledger._intent(run_name, chunk)) for chunk, _ in ended])
        real(self, run_name, ended, [])

    return [(Ledger, "go_on", go_on)]


@mistake
def only_the_first_of_several_intents() -> Any:
    """Of the chunks that a worker sends next only one is intended."""
    real = Ledger.go_on
    return [(Ledger, "go_on", lambda self, run_name, ended, following: real(self, run_name, ended, following[:1]))]


@mistake
def only_the_first_of_several_outcomes() -> Any:
    """Of the chunks that were delivered together only one is concluded."""
    real = Ledger.go_on
    return [(Ledger, "go_on", lambda self, run_name, ended, following: real(self, run_name, ended[:1], following))]


@mistake
def passed_on_to_nobody() -> Any:
    """A chunk whose first attempt failed while others were in flight is forgotten."""
    return [(chunk_queue.Queue, "pass_on", lambda *_: None)]


@mistake
def outcome_not_waited_for() -> Any:
    """Commits are handed over, not waited for: the worker goes on before they are durable."""

    def commit(self: Ledger, statements: Any) -> None:
        self._waiting.append(ledger._Ticket(statements))
        if len(self._waiting) >= 3:
            with self._committing:
                self._commit_together([self._waiting.popleft() for _ in range(len(self._waiting))])

    return [(Ledger, "_commit", commit)]


@mistake
def acknowledged_before_sending() -> Any:
    """The outcome is committed as delivered before the attempt."""
    real = attempts.Attempts.begin

    def begin(self: Any, client: Any, slot: Any) -> None:
        self._delivery.ledger.conclude(self._delivery.run, self.chunk, Conclusion("delivered", 1, 0, 200))
        real(self, client, slot)

    return [(attempts.Attempts, "begin", begin)]


@mistake
def memory_up_to_the_last_delivered() -> Any:
    """The memory moves like a cursor: over everything before the last record that was delivered."""
    real = settle._fates

    def fates(*arguments: Any) -> Any:
        found = real(*arguments)
        if (delivered := np.flatnonzero(found == settle._DELIVERED)).size:
            found[: delivered[-1] + 1] = settle._DELIVERED
        return found

    return [(settle, "_fates", fates)]


@mistake
def memory_without_claims() -> Any:
    """What may have arrived is not claimed when a run is closed."""
    real = settle._fates

    def fates(*arguments: Any) -> Any:
        found = real(*arguments)
        found[found == settle._CLAIMED] = 0
        return found

    return [(settle, "_fates", fates)]


@mistake
def memory_moves_while_something_is_left() -> Any:
    """The streams are settled at every end of a process."""
    real = delivering.end_run

    def end_run(job: Any, state: Any, planned: Any, error: Any) -> Any:
        settle.settle_run(state, planned)
        return real(job, state, planned, error)

    return [(delivering, "end_run", end_run)]


@mistake
def intents_forgotten_after_a_crash() -> Any:
    """What a crash left in flight is neither named nor sent again."""
    return [(Ledger, "recover", lambda *_, **__: [])]


@mistake
def intents_taken_for_delivered() -> Any:
    """What a crash left in flight is taken for delivered."""

    def recover(self: Ledger, run_name: str, stream: int, *, hold: bool) -> Any:
        where = "run = ? AND stream = ? AND state = 'intent'"
        self._write([(f"UPDATE chunk SET state = 'delivered', attempts = 1 WHERE {where}", (run_name, stream))])
        return []

    return [(Ledger, "recover", recover)]


@mistake
def intents_sent_again_unnamed() -> Any:
    """What a crash left in flight is sent again without a word."""

    def recover(self: Ledger, run_name: str, stream: int, *, hold: bool) -> Any:
        self._write([("UPDATE chunk SET state = 'queued' WHERE run = ? AND stream = ? AND state = 'intent'",
                      (run_name, stream))])  # fmt: skip
        return []

    return [(Ledger, "recover", recover)]


@mistake
def repeats_not_named() -> Any:
    """An ambiguous attempt is repeated before it is noted."""
    return [(Ledger, "count_ambiguous", lambda *_: None)]


@mistake
def held_sent_again_after_a_crash() -> Any:
    """`on_unknown: hold` is forgotten when a crash left the unknown."""
    real = Ledger.recover
    return [(Ledger, "recover", lambda self, run_name, stream, **_: real(self, run_name, stream, hold=False))]


@mistake
def held_retried() -> Any:
    """`on_unknown: hold` is forgotten while retrying."""
    real = retry.Retry.attempt_until_final

    def attempt(self: Any, one: Any, told: Any, case: Any, made: Any = None) -> Any:
        case.hold = False
        return real(self, one, told, case, made)

    return [(retry.Retry, "attempt_until_final", attempt)]


@mistake
def server_error_taken_for_success() -> Any:
    """A 500 counts as delivered."""
    real = attempts.Attempts.until_final

    def until_final(self: Any, client: Any) -> Any:
        outcome = real(self, client)
        if outcome.verdict is Verdict.SERVER_ERROR:
            return worker.Outcome(Verdict.DELIVERED, 200)
        return outcome

    return [(attempts.Attempts, "until_final", until_final), (retry, "RETRIED", frozenset({Verdict.NOT_SENT}))]


@mistake
def good_rows_sunk_with_a_bad_one() -> Any:
    """A refused chunk is rejected whole."""

    def settle(self: Any, chunk: Any, outcome: Any, attempts: Any) -> bool:
        if outcome.verdict is Verdict.REJECTED:
            self.delivery.ledger.split(
                self.delivery.run, chunk, [chunk.part([n]) for n in range(len(chunk.sequences))],
                attempts.conclusion("split", outcome))  # fmt: skip
            for n in range(len(chunk.sequences)):
                self._reject(chunk.part([n]), outcome, attempts)
            return False
        return real(self, chunk, outcome, attempts)

    real = worker.Worker._settle
    return [(worker.Worker, "_settle", settle)]


@mistake
def outcome_before_the_dead_letter() -> Any:
    """The rejection is committed before its dead letter is written."""

    def reject(self: Any, chunk: Any, outcome: Any, attempts: Any) -> None:
        append = self.delivery.letters.append
        self.delivery.ledger.conclude(self.delivery.run, chunk, attempts.conclusion("rejected", outcome))
        self.delivery.letters.append = lambda _: None
        try:
            kept = []
            self.delivery.letters.append = kept.append
            with patch.object(Ledger, "conclude", lambda *_: None):
                real(self, chunk, outcome, attempts)
        finally:
            self.delivery.letters.append = append
        for letters in kept:
            append(letters)

    real = worker.Worker._reject
    return [(worker.Worker, "_reject", reject)]


@mistake
def dead_letter_not_synced() -> Any:
    """The dead letter is not synced before the outcome is committed."""
    from bucket_loader.state import dead_letters

    def write(self: Any, data: bytes) -> None:
        with patch.object(dead_letters.os, "fsync", lambda _: None), patch.object(dead_letters, "sync", lambda _: None):
            real(self, data)

    real = dead_letters.DeadLetters._write
    return [(dead_letters.DeadLetters, "_write", write)]


@mistake
def shared_ids_in_flight_together() -> Any:
    """Chunks that name the same user go out side by side."""
    return [(delivery, "_ids", lambda *_: frozenset())]


@mistake
def next_chunk_before_the_outcome_is_committed() -> Any:
    """A chunk that shares an id is let go before the outcome of the one before is committed."""
    real = Ledger.go_on

    def go_on(self: Ledger, run_name: str, ended: Any, following: Any) -> None:
        for queue in queues:
            for chunk, _ in ended:
                with contextlib.suppress(ValueError):
                    queue.done(chunk)
        real(self, run_name, ended, following)

    queues: list[Any] = []
    made = chunk_queue.Queue.__init__

    def init(self: Any, *arguments: Any, **options: Any) -> None:
        queues[:] = [self]
        made(self, *arguments, **options)

    done = chunk_queue.Queue.done

    def once(self: Any, *chunks: Any) -> None:
        for chunk in chunks:
            with contextlib.suppress(ValueError):
                done(self, chunk)

    return [(Ledger, "go_on", go_on), (chunk_queue.Queue, "__init__", init), (chunk_queue.Queue, "done", once)]


@mistake
def next_stream_too_early() -> Any:
    """A stream begins although the one before could not be finished."""
    real = delivery.Delivery._deliver_stream

    def deliver(self: Any, *arguments: Any) -> None:
        real(self, *arguments)
        self.failure = None
        self.stopped._set = False

    return [(delivery.Delivery, "_deliver_stream", deliver)]


@mistake
def parts_lost_in_a_crash() -> Any:
    """A split commits that the chunk is gone before it commits its parts."""
    real = Ledger.split

    def split(self: Ledger, run_name: str, chunk: Any, parts: Any, conclusion: Conclusion) -> None:
        self.conclude(run_name, chunk, Conclusion("split", 0, 0, conclusion.status))
        real(self, run_name, chunk, parts, conclusion)

    return [(Ledger, "split", split)]


@mistake
def parts_forget_the_doubt() -> Any:
    """The parts of a chunk that may have arrived are as if they had never been sent."""
    real = Ledger.split

    def split(self: Ledger, run_name: str, chunk: Any, parts: Any, conclusion: Conclusion) -> None:
        real(self, run_name, chunk, parts, conclusion)
        self._write([("UPDATE chunk SET ambiguous = 0 WHERE run = ? AND members = ? AND state = 'queued'",
                      (run_name, part.members)) for part in parts])  # fmt: skip

    return [(Ledger, "split", split)]


@mistake
def blame_by_elimination() -> Any:
    """The last part is rejected unsent as soon as one other part has passed."""

    def send(self: Any, part: Any, suspect: Any) -> bool:
        if sent and len(part.sequences) == 1 and sent[-1]:
            self.delivery.ledger.intend(self.delivery.run, part)
            self._reject(part, worker.Outcome(Verdict.REJECTED, 400), self._attempts(part))
            return False
        sent.append(real(self, part, suspect))
        return sent[-1]

    sent: list[bool] = []
    real = worker.Worker._send_part
    return [(worker.Worker, "_send_part", send)]


@mistake
def outage_dead_lettered() -> Any:
    """What an outage leaves is written to the dead letters."""

    def leave(self: Any, chunk: Any, outcome: Any, attempts: Any) -> None:
        if len(chunk.sequences) == 1 and outcome.verdict is Verdict.SERVER_ERROR:
            self._reject(chunk, outcome, attempts)
        else:
            real(self, chunk, outcome, attempts)

    real = worker.Worker._leave
    return [(worker.Worker, "_leave", leave)]


@mistake
def chunks_cut_anew_after_a_resume() -> Any:
    """The chunks of a resumed run are other chunks."""
    real = delivery._chunks

    def chunks(planned: Any, found: Ledger, stream: Any) -> Any:
        if found.begun(planned.manifest.run, stream.position):
            manifest = plan.msgspec.structs.replace(planned.manifest, chunk_records=planned.manifest.chunk_records + 1)
            planned = plan.Plan(planned.folder, manifest)
        return real(planned, found, stream)

    return [(delivery, "_chunks", chunks)]


@mistake
def begun_forgotten() -> Any:
    """A resumed run sends again what it had begun."""
    return [(Ledger, "begun", lambda *_: set())]


@mistake
def postponed_forgotten() -> Any:
    """A chunk that was put off never comes back."""
    return [(chunk_queue.Queue, "_postponed_before", lambda _self: None)]


@mistake
def success_whatever_is_left() -> Any:
    """The exit code does not look at what is pending."""
    return [(end, "_verdict", lambda *_: ("succeeded", 0))]


@mistake
def queued_forgotten_by_a_resume() -> Any:
    """A resumed run goes on after the last chunk that was begun."""
    return [(Ledger, "queued", lambda *_: [])]


@mistake
def drained_taken_for_delivered() -> Any:
    """What a signal interrupts is taken for delivered."""

    def leave(self: Any, chunk: Any, outcome: Any, attempts: Any) -> None:
        if self.delivery.stopped.is_set():
            self.delivery.ledger.conclude(self.delivery.run, chunk, attempts.conclusion("delivered", outcome))
        else:
            real(self, chunk, outcome, attempts)

    real = worker.Worker._leave
    return [(worker.Worker, "_leave", leave)]
