"""Gathering a life: what plans, ledger, dead letters and memory know of what is sought, run by run."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from msgspec.structs import replace

from bucket_loader.config import Pipeline
from bucket_loader.model import counted, row_as_json
from bucket_loader.planning import Plan
from bucket_loader.reporting import Appearance, Chunk, Fate, Life, RunOf
from bucket_loader.runs.job import Job
from bucket_loader.runs.life.comparing import Before, compared
from bucket_loader.runs.life.fates import chunks_of, fate_of
from bucket_loader.runs.life.letters import Finder, letter, letters_of
from bucket_loader.runs.life.meant import meant
from bucket_loader.runs.life.now import now_of
from bucket_loader.runs.life.remembered import Asked, remembered
from bucket_loader.runs.life.rules import Rules
from bucket_loader.runs.life.search import UNREADABLE, Hit, Hits, Waiting, plans_of, search
from bucket_loader.runs.life.sought import Sought
from bucket_loader.state import Entry, RunRow, State, look_at_state

INPUTS_MAX: Final = 100  # rows of which the columns are read: the newest
_WITHOUT_PLAN: Final = "not delivered: it went to the dead letters, and its plan is gone"
_ARRIVED: Final = frozenset({"delivered", "unknown", "held"})  # it was, or may have been


def life_of(job: Job, sought: Sought, *, now: bool = False) -> Life:
    """Return all that is known of what is sought. It only looks: a run may go on beside it.

    Args:
        job: where it is looked for, and in which streams.
        sought: what is sought.
        now: whether the source is read afresh.

    Raises:
        UsageError: no stream is named as the options say; or `now` is for one stream, and several can be meant.
        StateError: the state is not this pipeline's, or cannot be read.
        SourceError: the source cannot be read.
    """
    job.require_streams()
    state = look_at_state(job.pipeline, job.state_place)
    if state is None:
        looked = ["no state: nothing was run yet, so nothing is known"]
        fresh = now_of(job, None, sought, []) if now else None
        return Life(job.pipeline.name, sought.as_json(), str(sought), [], [], looked, [], [], fresh)
    with closing(state):
        gathering = Gathering(state, job.pipeline, sought, job.options.streams)
        fresh = now_of(job, state, sought, gathering.arrived) if now else None
        return replace(gathering.life(), now=fresh)


@dataclass(frozen=True)
class _Fate:
    """Where a record is, and the chunks that carried it."""

    chunks: list[Chunk]
    fate: Fate
    text: str


@dataclass(frozen=True)
class Gathering:
    """A life that is being gathered.

    Attributes:
        state: where it is looked for.
        pipeline: today's pipeline file.
        sought: what is sought.
        streams: look only at these; at all when empty.
    """

    state: State
    pipeline: Pipeline
    sought: Sought
    streams: Sequence[str] = ()

    @cached_property
    def plans(self) -> list[Plan]:
        """The plans that are there, in the order of their runs; one that was not run, after the run before it."""

        def order(plan: Plan) -> tuple[int, bool, str]:
            row = self.rows.get(plan.manifest.run)
            number = plan.manifest.after if row is None else row.number
            return number, row is None, plan.manifest.run

        return sorted(plans_of(self.state), key=order)

    @cached_property
    def rows(self) -> dict[str, RunRow]:
        """The runs that the ledger knows, by name; oldest first."""
        return {row.run: row for row in self.state.ledger.runs()}

    @cached_property
    def hits(self) -> Hits:
        """What of the plans is meant."""
        return search(self.plans, self.sought, self.streams)

    @cached_property
    def letters(self) -> dict[str, list[Entry]]:
        """The dead letters that are meant, by run."""
        return letters_of(self.state, Finder(self.pipeline, self.sought, self.streams))

    @cached_property
    def fates(self) -> list[_Fate]:
        """Where each record is that is meant."""
        return [self._fate(hit) for hit in self.hits.records]

    @cached_property
    def arrived(self) -> list[Hit]:
        """The records that were delivered, or may have been; oldest first."""
        return [hit for hit, one in zip(self.hits.records, self.fates, strict=True) if one.fate in _ARRIVED]

    @cached_property
    def rules(self) -> Mapping[str, Rules]:
        """The rules of each stream that was ever planned."""
        today = {stream.name: stream for stream in self.pipeline.streams}
        names = {stream.name for plan in self.plans for stream in plan.manifest.streams}
        return {name: Rules(self.pipeline, today.get(name)) for name in names}

    def life(self) -> Life:
        """Return it."""
        asked = Asked(self.pipeline, self.sought, self.hits.records, self.arrived, self.streams)
        runs, known = self._runs(), list(remembered(self.state, asked))
        is_known = self.hits.records or any(one.state not in {"not remembered", "not known"} for one in known)
        return Life(
            pipeline=self.pipeline.name,
            sought=self.sought.as_json(),
            title=str(self.sought),
            runs=runs,
            remembered=known,
            looked=list(self._looked()),
            gone=list(self._gone()),
            meant=[] if is_known else list(meant(self.state, self.plans, asked)),
        )

    # --- run by run --------------------------------------------------------------------------------------------

    def _runs(self) -> list[RunOf]:
        """Return the runs that know it, newest first."""
        rows = defaultdict[str, list[Appearance]](list)
        taken: set[str] = set()
        for hit, appearance in zip(self.hits.records, self._appearances(), strict=True):
            rows[hit.run].append(appearance)
            taken.update(one.id for one in appearance.letters)
        for waiting in self.hits.waiting:
            rows[waiting.planned.manifest.run].append(_of_waiting(waiting))
        for run, entries in self.letters.items():
            rows[run] += (self._of_letter(entry) for entry in entries if entry.id not in taken)
        return [self._run(run, rows[run]) for run in reversed(self._order) if run in rows]

    @property
    def _order(self) -> list[str]:
        """The names of all runs, oldest first, and of plans that were not run, each after the run before it."""
        places = {run: (0, False, run) for run in self.letters}  # the ledger may not know them
        manifests = (plan.manifest for plan in self.plans)
        places |= {one.run: (one.after, True, one.run) for one in manifests}
        places |= {row.run: (row.number, False, row.run) for row in self.rows.values()}
        return sorted(places, key=places.__getitem__)

    def _run(self, run: str, rows: list[Appearance]) -> RunOf:
        row = self.rows.get(run)
        if row is not None:
            return RunOf(run, row.status, row.created_at, row.as_of, rows)
        manifests = (plan.manifest for plan in self.plans if plan.manifest.run == run)
        manifest = next(manifests, None)
        if manifest is None:
            return RunOf(run, "not known", "", "", rows)
        return RunOf(run, "planned", manifest.created_at, manifest.as_of, rows)

    def _appearances(self) -> Iterator[Appearance]:
        """Yield what is told of each record; each knows what of its key came before it."""
        inputs = self._inputs()
        entries = {entry.id: entry for some in self.letters.values() for entry in some}
        before = defaultdict[tuple[str, bytes | None], list[Hit]](list)
        for hit, fate in zip(self.hits.records, self.fates, strict=True):
            earlier = before[hit.stream.name, hit.key]
            yield self._appearance(hit, fate, earlier, inputs.get((hit.run, hit.stream.name, hit.sequence)), entries)
            if fate.fate in _ARRIVED and hit.key is not None:
                earlier.append(hit)

    def _appearance(
        self, hit: Hit, fate: _Fate, earlier: list[Hit], row: dict[str, Any] | None, entries: Mapping[str, Entry]
    ) -> Appearance:
        rules = self.rules[hit.stream.name]
        entry = entries.get(f"{hit.run}/{hit.stream.name}/{hit.sequence}")
        origin = entry.origin if entry is not None else {"source": hit.source, "row": hit.ordinal}
        return Appearance(
            run=hit.run,
            stream=hit.stream.name,
            kind=hit.stream.kind,
            fate=fate.fate,
            fate_text=fate.text,
            origin=origin,
            sequence=hit.sequence,
            input=row,
            record=hit.record,
            fields=rules.fields(hit.text, row, hit.source),
            left_out=rules.left_out(hit.text, row) if row is not None else [],
            are_rules_of_then=rules.are_those_of(hit.stream),
            compared=compared(hit, Before(earlier, self._gone_before(hit), hit.run in self._replays)),
            chunks=fate.chunks,
            letters=[letter(self.state.ledger, entry)] if entry is not None else [],
        )

    def _fate(self, hit: Hit) -> _Fate:
        row = self.rows.get(hit.run)
        chunks = [] if row is None else chunks_of(self.state.ledger, hit.run, hit.stream.position, hit.sequence)
        after = hit.planned.manifest.after
        later = next((one.run for one in self.rows.values() if one.number > after), None) if row is None else None
        return _Fate(chunks, *fate_of(row, chunks, later))

    def _of_letter(self, entry: Entry) -> Appearance:
        """Return what is told of a row that made no record, or of a record whose plan is gone."""
        streams = {stream.name: stream.record for stream in self.pipeline.streams}
        return Appearance(
            run=entry.run,
            stream=entry.stream,
            kind=streams.get(entry.stream, "record"),
            fate="rejected",
            fate_text="rejected when it was planned" if entry.record is None else _WITHOUT_PLAN,
            origin=entry.origin,
            input=entry.row,
            record=entry.record,
            letters=[letter(self.state.ledger, entry)],
        )

    def _inputs(self) -> dict[tuple[str, str, int], dict[str, Any]]:
        """Return the columns of the newest rows, as they were read."""
        groups = defaultdict[tuple[str, str], list[Hit]](list)
        for hit in self.hits.records[-INPUTS_MAX:]:
            groups[hit.run, hit.stream.name].append(hit)
        found: dict[tuple[str, str, int], dict[str, Any]] = {}
        for (run, stream), hits in groups.items():
            sequences = [hit.sequence for hit in hits]
            with suppress(*UNREADABLE):
                batches = hits[0].planned.inputs(hits[0].stream, sequences)
                rows = zip(hits, batches, strict=True)
                # A row that is gone has no columns.
                found |= {(run, stream, hit.sequence): row_as_json(batch, 0) for hit, batch in rows if hit.ordinal}
        return found

    # --- what is gone ------------------------------------------------------------------------------------------

    @cached_property
    def _without_plan(self) -> list[RunRow]:
        there = {plan.manifest.run for plan in self.plans}
        return [row for run, row in self.rows.items() if run not in there]

    def _gone_before(self, hit: Hit) -> int:
        return bisect_right([one.number for one in self._without_plan], hit.planned.manifest.after)

    @cached_property
    def _replays(self) -> set[str]:
        """The runs that took up dead letters, of those that know it."""
        runs = {hit.run for hit in self.hits.records}
        return {run for run in runs if run in self.rows and self.state.ledger.is_replay(run)}

    def _looked(self) -> Iterator[str]:
        """Say where it was looked for."""
        planned = sum(plan.manifest.run in self.rows for plan in self.plans)
        letters = self.state.runs_in(self.state.layout.dead_letters)
        yield f"{counted(len(self.rows), 'run')}: the plans of {planned:,}, the dead letters of {len(letters):,}"
        memory = [stream for stream in self.state.ledger.parts() if not self.streams or stream in self.streams]
        yield f"what is remembered of {', '.join(memory) or 'no stream'}"

    def _gone(self) -> Iterator[str]:
        """Say what can no longer be told."""
        if gone := self._without_plan:
            many = f"the plans of {len(gone):,} runs are gone (the last is {gone[-1].run})"
            those = f"the plan of run {gone[0].run} is gone" if len(gone) == 1 else many
            yield f"{those}, by `keep:`, `prune` or `forget`: what they sent of it can no longer be told"
        for run in self.hits.unread:
            yield f"the plan of run {run} cannot be read: what it sent of it cannot be told; `audit` says what is wrong"


def _of_waiting(waiting: Waiting) -> Appearance:
    return Appearance(
        run=waiting.planned.manifest.run,
        stream=waiting.stream.name,
        kind=waiting.stream.kind,
        fate="refused before",
        fate_text=f"not sent: run {waiting.refused_by} saw it refused with the same bytes",
        origin={"source": waiting.source, "row": waiting.ordinal},
    )
