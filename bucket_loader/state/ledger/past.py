"""Which runs there were: all of them, or as few as are asked for; a run of today does not read the rows of years."""

import json
from collections.abc import Iterator
from typing import Final

from bucket_loader.model import BucketLoaderError
from bucket_loader.state.ledger.database import NOTE, Row, Statement
from bucket_loader.state.ledger.memory import Memory
from bucket_loader.state.ledger.rows import RunRow, RunStatus

_SELECT: Final = (
    "SELECT run, number, status, as_of, interval_start, interval_end, plan_digest, created_at, ended_at, exit_code, "
    "requests, retries FROM run"
)

_CHUNKS: Final = (
    "SELECT run, stream, first, members, records, state, part, attempts, ambiguous, status, aside, folded, tries "
    "FROM chunk WHERE (run, stream, first, members) > (?, ?, ?, ?) ORDER BY run, stream, first, members LIMIT ?"
)
_PAGE: Final = 10_000  # rows
_JUST_BEFORE: Final = 100  # runs; an older one is seldom finished later


def note_why(run: str, error: BucketLoaderError | None) -> Statement:
    """Return the statement that notes what ended a run early; its words hold no key and no value of a row."""
    if error is None:
        return "DELETE FROM meta WHERE name = ?", (_why(run),)
    return NOTE, (_why(run), json.dumps([error.message, error.hint]))


def _why(run: str) -> str:
    return f"why {run} ended"


class Past(Memory):
    """The part of a ledger that knows its runs."""

    def _runs(self, where: str, *parameters: object) -> list[RunRow]:
        return [RunRow(*row) for row in self._query(f"{_SELECT} {where}", *parameters)]

    def runs(self, *statuses: RunStatus) -> list[RunRow]:
        """Return the runs, oldest first; those of some statuses when any are named."""
        where = f"WHERE status IN ({', '.join('?' * len(statuses))})" if statuses else ""
        return self._runs(f"{where} ORDER BY number", *statuses)

    def run(self, name: str) -> RunRow | None:
        """Return a run by its name; None where there is none."""
        return next(iter(self._runs("WHERE run = ?", name)), None)

    def why(self, run: str) -> tuple[str, str] | None:
        """Return the message and the hint of what ended a run early; None where nothing did, or it is not known."""
        noted = self.meta(_why(run))
        if noted is None:
            return None
        message, hint = json.loads(noted)
        return message, hint

    def folded_runs(self) -> set[str]:
        """Return the runs that are so old that their chunks are folded."""
        return {str(run) for (run,) in self._query("SELECT run FROM run WHERE aged <> 0")}

    def takers_of(self, letters: str) -> list[str]:
        """Return the runs that took up dead letters of a run, oldest first."""
        rows = self._query(
            "SELECT DISTINCT p.run, r.number FROM replay p JOIN run r ON r.run = p.run WHERE p.letters = ? "
            "ORDER BY r.number", letters,
        )  # fmt: skip
        return [str(run) for run, _ in rows]

    def begun_with(self, beginning: str, most: int) -> list[RunRow]:
        """Return the runs whose names begin so, newest first."""
        return self._runs("WHERE substr(run, 1, ?) = ? ORDER BY number DESC LIMIT ?", len(beginning), beginning, most)

    def newest(self, count: int) -> list[RunRow]:
        """Return the last runs, newest first."""
        return self._runs("ORDER BY number DESC LIMIT ?", count)

    def runs_after(self, number: int) -> list[RunRow]:
        """Return the runs that came later than one, oldest first."""
        return self._runs("WHERE number > ? ORDER BY number", number)

    def runs_of(self, start: str, end: str) -> list[RunRow]:
        """Return the runs of an interval (wire times), oldest first."""
        return self._runs("WHERE interval_start = ? AND interval_end = ? ORDER BY number", start, end)

    def runs_that_hold(self) -> list[RunRow]:
        """Return the runs that hold something for a person, oldest first."""
        return self._runs("WHERE run IN (SELECT run FROM chunk WHERE state = 'held') ORDER BY number")

    def has_runs(self) -> bool:
        """Whether there was any run."""
        return bool(self._query("SELECT 1 FROM run LIMIT 1"))

    def has_delivered(self) -> bool:
        """Whether any run has delivered anything."""
        return bool(self._query("SELECT 1 FROM chunk WHERE state = 'delivered' LIMIT 1"))

    def progress(self) -> tuple[int, int, str]:
        """Return the number of the last run, the requests that it and those just before it have made, and its name."""
        last = self.newest(_JUST_BEFORE)
        return (last[0].number, sum(row.requests for row in last), last[0].run) if last else (0, 0, "")

    def last_number(self) -> int:
        """Return the number of the last run; 0 before the first."""
        ((number,),) = self._query("SELECT coalesce(max(number), 0) FROM run")
        return int(number)

    # --- all of it, for who asks about all runs at once ----------------------------------------------------------

    def folded_answers(self) -> dict[tuple[str, str], str]:
        """Return how many attempts of folded chunks had which answer, as JSON, by run and stream."""
        rows = self._query("SELECT run, name, answers FROM stream WHERE answers IS NOT NULL")
        return {(str(run), str(name)): str(answers) for run, name, answers in rows}

    def stream_names(self) -> dict[tuple[str, int], str]:
        """Return the names of all runs' streams, by run and position."""
        return {(str(run), int(position)): str(name) for run, position, name in
                self._query("SELECT run, position, name FROM stream")}  # fmt: skip

    def chunk_pages(self) -> Iterator[list[Row]]:
        """Yield all chunks of all runs, some thousand rows at a time: the columns of `_CHUNKS`."""
        after: tuple[object, ...] = ("", -1, -1, "")
        while rows := self._query(_CHUNKS, *after, _PAGE):
            yield rows
            after = rows[-1][:4]
