"""Mistakes that a delivery can have, each planted into the real code: the simulation has to find every one of them.

A mistake is a name and the change it makes; `planted` puts it in for as long as a `with` lasts.
"""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import crowd
import numpy as np

from bucket_loader.delivery import aside, course, finishing, flight, judged, queue, sender, sending, tally
from bucket_loader.delivery.journal import Ambiguous, Concluded, DeadLetter, Intent, LedgerJournal, SplitInto
from bucket_loader.model.chunks import Chunk
from bucket_loader.model.errors import PatienceError
from bucket_loader.model.outcomes import Outcome, Verdict
from bucket_loader.planning import plan_file as plan, refused
from bucket_loader.runs import assigning, begin, deliver as delivering, end, run, settle
from bucket_loader.runs.fates import CLAIMED, DELIVERED, Fates, mark
from bucket_loader.runs.senders import sending as sender_sending
from bucket_loader.state import dead_letters
from bucket_loader.state.ledger import Ledger, ledger, owning, sharing

MISTAKES: dict[str, Callable[[], "list[tuple[Any, str, Any]]"]] = {}
NIGHTS: set[str] = set()  # those that take several runs to show
CROWDS: set[str] = set()  # those that take several senders


def mistake(make: Callable[[], "list[tuple[Any, str, Any]]"]) -> Callable[[], "list[tuple[Any, str, Any]]"]:
    """Note a mistake under its function's name."""
    MISTAKES[make.__name__] = make
    return make


def of_nights(make: Callable[[], "list[tuple[Any, str, Any]]"]) -> Callable[[], "list[tuple[Any, str, Any]]"]:
    """Note a mistake that one plan does not show."""
    NIGHTS.add(make.__name__)
    return mistake(make)


def of_crowds(make: Callable[[], "list[tuple[Any, str, Any]]"]) -> Callable[[], "list[tuple[Any, str, Any]]"]:
    """Note a mistake that one sender does not show."""
    CROWDS.add(make.__name__)
    return mistake(make)


@contextlib.contextmanager
def planted(name: str) -> Iterator[None]:
    """Make a mistake for as long as the `with` lasts."""
    with contextlib.ExitStack() as stack:
        for where, attribute, instead in MISTAKES[name]():
            stack.enter_context(patch.object(where, attribute, instead))
        yield


def committing(change: Callable[..., Any]) -> Any:
    """Let a journal commit other entries than it is given; `change` is given them and whose journal it is."""
    real = LedgerJournal.commit
    return [(LedgerJournal, "commit", lambda self, entries: real(self, change(self, entries)))]


def deciding(change: Callable[..., Any]) -> Any:
    """Let another step follow; `change` is given the step, and what it followed from."""

    def next_step(chunk: Any, history: Any, outcome: Any, served: Any, policy: Any) -> Any:
        step, known = course.next_step(chunk, history, outcome, served, policy)
        return change(step, chunk, known, outcome), known

    return [(finishing, "next_step", next_step)]


@mistake
def no_intent_before_sending() -> Any:
    """The intent is committed with the outcome, not before the first byte."""

    def change(_journal: Any, entries: Any) -> Any:
        rest = [entry for entry in entries if not isinstance(entry, Intent)]
        return [*(Intent(entry.chunk) for entry in rest if isinstance(entry, Concluded)), *rest]

    return committing(change)


@mistake
def only_the_first_of_several_intents() -> Any:
    """Of the chunks that a worker sends next only one is intended."""

    def change(_journal: Any, entries: Any) -> Any:
        intents = [entry for entry in entries if isinstance(entry, Intent)]
        return [entry for entry in entries if entry not in intents[1:]]

    return committing(change)


@mistake
def only_the_first_of_several_outcomes() -> Any:
    """Of the chunks that were delivered together only one is concluded."""

    def change(_journal: Any, entries: Any) -> Any:
        ended = [entry for entry in entries if isinstance(entry, Concluded)]
        return [entry for entry in entries if entry not in ended[1:]]

    return committing(change)


@mistake
def passed_on_to_nobody() -> Any:
    """A chunk whose first attempt failed while others were in flight is forgotten."""
    return [(queue.Queue, "pass_on", lambda *_: None)]


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
    real = flight.Flight.begin

    def begin(self: Any) -> None:
        self._shared.journal.commit([Concluded(self._work.chunk, "delivered", 1, 0, 200)])
        real(self)

    return [(flight.Flight, "begin", begin)]


def _with_fates(change: Any) -> Any:
    """Change what settling believes to have become of the records of each part."""
    real = settle.fates_of

    def fates_of(ledger: Any, run_name: Any, stream: Any, **words: Any) -> Any:
        find = real(ledger, run_name, stream, **words)._find

        def changed(part: Any) -> Any:
            found = find(part)
            change(found, part, ledger, run_name, stream)
            return found

        return Fates(stream, changed)

    return [(settle, "fates_of", fates_of)]


@mistake
def memory_up_to_the_last_delivered() -> Any:
    """The memory moves like a cursor: over everything before the last record that was delivered."""

    def change(found: Any, *_: Any) -> None:
        if (delivered := np.flatnonzero(found == DELIVERED)).size:
            found[: delivered[-1] + 1] = DELIVERED

    return _with_fates(change)


@mistake
def memory_without_claims() -> Any:
    """What may have arrived is not claimed when a run is closed."""

    def change(found: Any, *_: Any) -> None:
        found[found == CLAIMED] = 0

    return _with_fates(change)


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

    def recover(self: Ledger, run_name: str, stream: int, **_: Any) -> Any:
        where = "run = ? AND stream = ? AND state = 'intent'"
        self._write([(f"UPDATE chunk SET state = 'delivered', attempts = 1 WHERE {where}", (run_name, stream))])
        return []

    return [(Ledger, "recover", recover)]


@mistake
def intents_sent_again_unnamed() -> Any:
    """What a crash left in flight is sent again without a word."""

    def recover(self: Ledger, run_name: str, stream: int, **_: Any) -> Any:
        self._write([("UPDATE chunk SET state = 'queued' WHERE run = ? AND stream = ? AND state = 'intent'",
                      (run_name, stream))])  # fmt: skip
        return []

    return [(Ledger, "recover", recover)]


@mistake
def repeats_not_named() -> Any:
    """An ambiguous attempt is repeated before it is noted."""
    return committing(lambda _journal, entries: [entry for entry in entries if not isinstance(entry, Ambiguous)])


@mistake
def held_sent_again_after_a_crash() -> Any:
    """`on_unknown: hold` is forgotten when a crash left the unknown."""
    real = Ledger.recover
    return [(Ledger, "recover", lambda self, run_name, stream, **more: real(self, run_name, stream,
                                                                            **more | {"hold": False}))]  # fmt: skip


@mistake
def held_retried() -> Any:
    """`on_unknown: hold` is forgotten while retrying."""

    def next_step(chunk: Any, history: Any, outcome: Any, served: Any, policy: Any) -> Any:
        return course.next_step(chunk, history, outcome, served, dataclasses.replace(policy, hold=False))

    return [(finishing, "next_step", next_step)]


@mistake
def server_error_taken_for_success() -> Any:
    """A 500 counts as delivered."""

    def change(step: Any, _chunk: Any, _history: Any, outcome: Any) -> Any:
        return course.Delivered(1) if outcome.verdict is Verdict.SERVER_ERROR else step

    return deciding(change)


@mistake
def good_rows_sunk_with_a_bad_one() -> Any:
    """A refused chunk is rejected whole."""
    real = finishing.Finishing._split

    def split(self: Any, step: Any, work: Any) -> bool:
        if work.outcome is None or work.outcome.verdict is not Verdict.REJECTED:
            return real(self, step, work)
        parts = [work.chunk.part([place]) for place in range(len(work.chunk.sequences))]
        self._shared.journal.commit([SplitInto(finishing.concluded(work, "split", step), parts)])
        for part in parts:
            alone = finishing.Work(part, outcome=work.outcome)
            self._apply(course.Rejected(1, course.reason_of(work.outcome)), alone)
        return False

    return [(finishing.Finishing, "_split", split)]


@mistake
def outcome_before_the_dead_letter() -> Any:
    """The rejection is committed before its dead letter is written."""
    real = LedgerJournal.commit

    def commit(self: Any, entries: Any) -> None:
        letters = [entry for entry in entries if isinstance(entry, DeadLetter)]
        real(self, [entry for entry in entries if entry not in letters])
        if letters:
            real(self, letters)

    return [(LedgerJournal, "commit", commit)]


@mistake
def dead_letter_not_synced() -> Any:
    """The dead letter is not synced before the outcome is committed."""
    real = dead_letters.DeadLetters.append

    def append(self: Any, entries: Any) -> int:
        safe = self._disk
        self._disk = SimpleNamespace(write=safe.write, sync=lambda _: None, alone=safe.alone)
        try:
            return real(self, entries)
        finally:
            self._disk = safe

    return [(dead_letters.DeadLetters, "append", append)]


@mistake
def shared_ids_in_flight_together() -> Any:
    """Chunks that name the same user go out side by side."""
    return [(Chunk, "ids", property(lambda _: frozenset()))]


@mistake
def next_chunk_before_the_outcome_is_committed() -> Any:
    """A chunk that shares an id is let go a second before the outcome of the one before is committed."""
    real = LedgerJournal.commit

    def commit(self: Any, entries: Any) -> None:
        for entry in entries:
            if isinstance(entry, Concluded):
                for one in queues:
                    one.done(entry.chunk)
                    one._condition._world.sleep(1.0)  # in which others go on
        real(self, entries)

    queues: list[Any] = []
    made = queue.Queue.__init__

    def init(self: Any, *arguments: Any, **options: Any) -> None:
        queues[:] = [self]
        made(self, *arguments, **options)

    done = queue.Queue.done

    def once(self: Any, *chunks: Any) -> None:
        for chunk in chunks:
            with contextlib.suppress(ValueError):
                done(self, chunk)

    return [(LedgerJournal, "commit", commit), (queue.Queue, "__init__", init), (queue.Queue, "done", once)]


@mistake
def next_stream_too_early() -> Any:
    """A stream begins although the one before could not be finished."""
    real = sending._deliver_stream

    def stream(assignment: Any, run_wide: Any, passing: Any) -> None:
        real(assignment, run_wide, passing)
        run_wide.standing.failure = None
        assignment.stopped._set = False

    return [(sending, "_deliver_stream", stream)]


@mistake
def parts_lost_in_a_crash() -> Any:
    """A split commits that the chunk is gone before it commits its parts."""
    real = LedgerJournal.commit

    def commit(self: Any, entries: Any) -> None:
        for entry in entries:
            if isinstance(entry, SplitInto):
                real(self, [dataclasses.replace(entry.was, attempts=0, ambiguous=0, tries=())])
        real(self, entries)

    return [(LedgerJournal, "commit", commit)]


@mistake
def parts_forget_the_doubt() -> Any:
    """The parts of a chunk that may have arrived are as if they had never been sent."""
    real = LedgerJournal.commit

    def commit(self: Any, entries: Any) -> None:
        real(self, entries)
        for entry in entries:
            if isinstance(entry, SplitInto):
                forget = "UPDATE chunk SET ambiguous = 0 WHERE run = ? AND members = ? AND state = 'queued'"
                self._ledger._write([(forget, (self._run, part.members)) for part in entry.parts])

    return [(LedgerJournal, "commit", commit)]


@mistake
def blame_by_elimination() -> Any:
    """The last part is rejected unsent as soon as one other part has passed."""

    def finish(self: Any, work: Any) -> bool:
        if work.outcome is None and sent and len(work.chunk.sequences) == 1 and sent[-1]:
            work.outcome = Outcome(Verdict.REJECTED, 400)
            return self._apply(course.Rejected(0, course.reason_of(work.outcome)), work)
        sent.append(real(self, work))
        return sent[-1]

    sent: list[bool] = []
    real = finishing.Finishing.finish
    return [(finishing.Finishing, "finish", finish)]


@mistake
def outage_dead_lettered() -> Any:
    """What an outage leaves is written to the dead letters."""

    def change(step: Any, chunk: Any, _history: Any, outcome: Any) -> Any:
        sunk = isinstance(step, course.Left) and outcome.verdict is Verdict.SERVER_ERROR and len(chunk.sequences) == 1
        return course.Rejected(step.attempts, course.reason_of(outcome)) if sunk else step

    return deciding(change)


@mistake
def chunks_cut_anew_after_a_resume() -> Any:
    """The chunks of a resumed run are other chunks."""
    real = sending.unsent

    def chunks(whole: Any, ledger: Any, span: Any) -> Any:
        manifest = whole.manifest
        if ledger.begun(manifest.run, span.stream.position):
            other = plan.msgspec.structs.replace(manifest, chunk_records=manifest.chunk_records + 1)
            whole = plan.Plan(whole.folder, other)
        return real(whole, ledger, span)

    return [(sending, "unsent", chunks)]


@mistake
def begun_forgotten() -> Any:
    """A resumed run sends again what it had begun."""
    return [(Ledger, "begun", lambda *_, **__: set())]


@mistake
def set_aside_forgotten() -> Any:
    """A chunk that was set aside never comes back."""
    return [(sending, "_last_passes", lambda *_: iter(()))]


@mistake
def overtaken_while_set_aside() -> Any:
    """What names whom a chunk names that was set aside goes on all the same."""
    return [(aside.Aside, "_waiting", lambda *_: [])]


@mistake
def only_the_next_waits() -> Any:
    """Who waits is not waited for: only what shares an id with the chunk that was set aside stays behind it."""
    real = aside.Aside._waiting

    def waiting(self: Any, chunk: Any) -> Any:
        before = {stream: set(ids) for stream, ids in self._ids.items()}
        waits = real(self, chunk)
        self._ids = before
        return waits

    return [(aside.Aside, "_waiting", waiting)]


@mistake
def blamed_within_seconds() -> Any:
    """A single record is rejected for server errors although it met them for some seconds only."""
    return [(sending, "JUDGED_AFTER_S", 0.0)]


@mistake
def set_aside_unclaimed() -> Any:
    """What is set aside is not claimed when its stream settles: the next plan has it again."""

    def change(found: Any, part: Any, ledger: Any, run_name: Any, stream: Any) -> None:
        for row in ledger.queued(run_name, stream.position, aside=True):
            mark(found, part, row, 0)  # also those that may have arrived

    return _with_fates(change)


@mistake
def success_whatever_is_left() -> Any:
    """The exit code does not look at what is pending."""
    return [(end, "_verdict", lambda *_: ("succeeded", 0))]


@mistake
def queued_forgotten_by_a_resume() -> Any:
    """A resumed run goes on after the last chunk that was begun."""
    return [(Ledger, "queued", lambda *_, **__: [])]


@mistake
def drained_taken_for_delivered() -> Any:
    """What a signal interrupts is taken for delivered."""
    real = finishing.Finishing._apply

    def apply(self: Any, step: Any, work: Any) -> bool:
        if isinstance(step, course.Left) and self._shared.standing.stopped.is_set():
            step = course.Delivered(step.attempts)
        return real(self, step, work)

    return [(finishing.Finishing, "_apply", apply)]


@mistake
def server_error_blamed_on_a_record_too_soon() -> Any:
    """A single record is rejected as soon as it met two server errors and another chunk was served."""

    def change(step: Any, chunk: Any, history: Any, outcome: Any) -> Any:
        again = isinstance(step, course.Again) and outcome.verdict is Verdict.SERVER_ERROR
        if again and history.errors >= 2 and len(chunk.sequences) == 1:
            return course.Rejected(step.attempts, course.reason_of(outcome))
        return step

    return deciding(change)


@mistake
def what_answered_as_another_is_not_in_doubt() -> Any:
    """An answer that is not Bucket's counts as if nothing had been sent."""
    real = Outcome.ambiguous.fget
    return [(Outcome, "ambiguous", property(lambda self: self.verdict is not Verdict.MISROUTED and real(self)))]


@mistake
def too_big_rejected_whole() -> Any:
    """What is too big is taken for rejected, all of it at once, without being cut."""

    def change(step: Any, _chunk: Any, _history: Any, outcome: Any) -> Any:
        if isinstance(step, course.Split) and outcome.verdict is Verdict.TOO_BIG:
            return course.Rejected(step.attempts, course.reason_of(outcome))
        return step

    return deciding(change)


@of_nights
def systemic_by_the_first_refused() -> Any:
    """The first refusals alone stop a run as a mapping mistake."""
    return [(tally.Spread, "missing", property(lambda _: frozenset()))]


@of_nights
def unfinished_before_anything_new() -> Any:
    """A run of which something is set aside is finished before anything new is planned, and ends the call."""

    def finish(job: Any, state: Any, row: Any, **options: Any) -> Any:
        finished = real(job, state, row, **options)
        left = sum(counts.pending for counts in finished.streams.values())
        return dataclasses.replace(finished, error=PatienceError("no success") if left else finished.error)

    real = run.finish_run
    return [(run, "only_waits", lambda *_: False), (run, "finish_run", finish)]


@of_nights
def stuck_for_ever() -> Any:
    """What is set aside without a witness is never tried again."""
    return [(run, "try_again", lambda _job, _state, summary, _resumed: summary)]


@of_nights
def witness_forgotten() -> Any:
    """What was served in a call is no witness for what earlier runs have set aside."""
    real = run.finish_run
    return [(run, "finish_run", lambda job, state, row, **_: real(job, state, row))]


@of_nights
def known_refused_forgotten() -> Any:
    """What was refused before counts as new: it stands where it did, and is sent with every run."""
    return [(settle, "keep_refusals", lambda *_, **__: None)]


@of_nights
def known_refused_overtake() -> Any:
    """A row that was refused before is sent last although a new one names whom it names."""
    return [(refused, "_overtaken", lambda _stream, _staged, known: refused.nothing_of(known))]


@of_nights
def a_newer_row_does_not_replace_the_stuck() -> Any:
    """A newer row of its key leaves the one that is set aside as it is, and nobody waits for that one."""
    return [(begin, "superseded_by", lambda *_: [])]


@of_nights
def what_waits_is_overtaken_by_later_plans() -> Any:
    """What an earlier run has set aside holds up nobody in a later one."""
    return [(assigning, "set_aside_before", lambda *_: frozenset())]


@of_nights
def freed_only_by_the_next_call() -> Any:
    """What waits for a record that is judged in this call stays until the next."""
    return [(run, "waiting_records", lambda *_: 0)]


@of_nights
def refused_late_is_not_known() -> Any:
    """What was set aside when its stream was settled keeps its claim, whatever it came to."""
    return [(Ledger, "is_settled_with_claims", lambda *_: False),
            (Ledger, "unsettled", lambda self, name: {int(one) for (one,) in self._query(
                "SELECT position FROM stream WHERE run = ? AND settled = 0", name)})]  # fmt: skip


@of_nights
def a_blocked_record_ends_each_run() -> Any:
    """A single record that is blocked is left in its run, which every later call resumes first."""

    def change(step: Any, _chunk: Any, history: Any, outcome: Any) -> Any:
        blocked = isinstance(step, course.SetAside) and history.postponed and outcome.verdict is Verdict.BLOCKED
        return course.Left(step.attempts, step.error or PatienceError("no success")) if blocked else step

    return deciding(change)


@of_nights
def held_are_done() -> Any:
    """A run of which only held records are left ends with 0."""
    real = end.with_waiting
    return [(run, "with_waiting", lambda *arguments: dataclasses.replace(real(*arguments), exit_code=0))]


@of_nights
def given_up_with_patience() -> Any:
    """When patience is over nobody asks any more whether a record has failed for a minute."""

    def next_step(chunk: Any, history: Any, outcome: Any, served: Any, policy: Any) -> Any:
        step, known = course.next_step(chunk, history, outcome, served, policy)
        late = isinstance(step, course.Rejected) and served.out_of_patience and outcome.verdict in course.FAILED
        return (course.SetAside(step.attempts) if late else step), known

    return [(finishing, "next_step", next_step)]


@mistake
def owner_not_compared() -> Any:
    """A commit does not ask whether another copy has taken the state."""
    return [(owning.FileOwner, "require_epoch", lambda *_: None)]


# --- several senders -----------------------------------------------------------------------------------------------


@of_crowds
def taken_before_earlier_streams_are_over() -> Any:
    """A part is taken although parts of earlier streams are not over."""
    return [(sharing, "_TAKE", sharing._TAKE.replace(sharing._BEFORE, "(1 = 0)"))]


@of_crowds
def shared_ids_sent_by_several() -> Any:
    """Parts whose records share ids are sent side by side."""
    real = sender_sending.parts_of
    return [(crowd, "parts_of", lambda planned: [part._replace(alone=0) for part in real(planned)])]


@of_crowds
def taken_while_its_sender_lives() -> Any:
    """A part is taken that another has."""
    return [(sharing, "_TAKE", sharing._TAKE.replace(sharing._LIVES, "(1 = 0)"))]


@of_crowds
def given_up_too_early() -> Any:
    """Who was not heard of for a moment is given up, and goes on."""
    return [(sender.Sender, "_silent_ms", property(lambda _: 1)), (crowd.SharedFile, "_fence", lambda _: None),
            (crowd.SharedFile, "wait_until_held", crowd.SharedFile.sends_at_once)]  # fmt: skip


@of_crowds
def committed_without_the_fence() -> Any:
    """Who was given up commits all the same."""
    return [(crowd.SharedFile, "_fence", lambda _: None)]


@of_crowds
def not_asked_when_awake() -> Any:
    """Who was frozen sends what it had in mind, without a look at whether it was given up."""
    return [(crowd.SharedFile, "wait_until_held", crowd.SharedFile.sends_at_once)]


@of_crowds
def recovered_as_a_whole() -> Any:
    """Who takes a part names all of the stream as in doubt, also what others have in flight."""
    real = Ledger.recover
    return [(Ledger, "recover", lambda self, run_name, stream, **more: real(self, run_name, stream,
                                                                            hold=more["hold"]))]  # fmt: skip


@of_crowds
def not_recovered_when_taken_over() -> Any:
    """What a dead sender had in flight stays as it was when its part is taken."""
    return [(Ledger, "recover", lambda *_, **__: [])]


@of_crowds
def queued_of_others_too() -> Any:
    """Who takes a part sends what is queued of the whole stream."""
    real = Ledger.queued
    return [(Ledger, "queued", lambda self, run_name, stream, *, aside=False, **_: real(self, run_name, stream,
                                                                                        aside=aside))]  # fmt: skip


@of_crowds
def others_aside_forgotten() -> Any:
    """What other senders have set aside holds up nobody here."""
    return [(sending, "_aside", lambda assignment: aside.Aside(assignment.waits_for, assignment.clock))]


@of_crowds
def flags_unread() -> Any:
    """What another sender has met that ends the run for all is not read."""
    return [(Ledger, "flag", lambda *_: None), (crowd.SharedFile, "hear_flag", lambda _: None)]


@of_crowds
def refused_as_a_whole_by_what_one_has_seen() -> Any:
    """A sender whose part is all bad stops the run although others deliver."""
    return [(tally.Standing, "_is_so_for_all", lambda _: True)]


@of_crowds
def places_of_a_part_taken_for_those_of_the_stream() -> Any:
    """A sender that is the first to have an answer stops the run as soon as its part is refused at five places."""
    real = judged.judged_by_all
    return [(sending, "judged_by_all", lambda *arguments: real(*arguments)._replace(missing=frozenset()))]


@of_crowds
def over_before_it_is() -> Any:
    """A part counts as over as soon as it was taken."""
    real = Ledger.take_part

    def take_part(self: Any, run_name: str, name: str, silent_ms: int) -> Any:
        part = real(self, run_name, name, silent_ms)
        if part is not None:
            where = "run = ? AND stream = ? AND number = ?"
            self._write([(f"UPDATE part SET ended = 1 WHERE {where}", (run_name, part.stream, part.number))])
        return part

    return [(Ledger, "take_part", take_part)]
