"""What a ledger forgets on purpose, each time in one commit.

All that was delivered to an emulator that is gone; streams, as a person asks; rows that are about one user or company.
"""

from collections.abc import Mapping
from typing import Final

from bucket_loader.state.ledger.database import NOTE, Statement
from bucket_loader.state.ledger.memory import BASELINE
from bucket_loader.state.ledger.past import Past
from bucket_loader.state.ledger.rows import RunRow, SnapshotFile

EMULATOR: Final = "emulator"  # the note of the emulator that the memory is of
_GONE: Final = "gone up to"  # the number of the last run that sent to one that is gone
_TIMES: Final = "forgotten times"
_REMEMBERING: Final = ("memory", "refused", "cursor", "loaded_file")
_KEY: Final = "key_fingerprint"  # the note of the key that all was delivered with
_FRAME: Final = "frame"  # the note of the DataFrame without a name that is remembered
# What a person would decide over, or would be sent again, is in the emulator that is gone.
_ABANDON: Final[tuple[str, ...]] = (
    "UPDATE chunk SET state = 'queued' WHERE state = 'held'",
    "UPDATE chunk SET aside = NULL WHERE state = 'queued' AND aside IS NOT NULL",
    "DELETE FROM replay",
)
_CLOSE: Final = (
    "UPDATE run SET status = 'abandoned', exit_code = 75, ended_at = ? WHERE status IN ('running', 'unfinished')"
)


class Forgetting(Past):
    """The part of a ledger that forgets."""

    def last_number(self) -> int:
        """Return a number that rises with each run, and each time that something is forgotten."""
        return super().last_number() + int(self.meta(_TIMES) or 0)

    def overtaking(self, number: int, made_at: str) -> RunRow | None:
        """Return the last run that came after a plan; None where something was forgotten instead.

        Args:
            number: what `last_number` was when the plan was made.
            made_at: when that was (wire time).
        """
        times = int(self.meta(_TIMES) or 0)  # in both numbers; since the plan, only where it was forgotten meanwhile
        last = next(iter(self.newest(1)), None)
        if last is None or not (last.number > number or (last.number > number - times and last.created_at > made_at)):
            return None
        return last

    def is_gone(self, number: int) -> bool:
        """Whether a run, by its number, has sent to an emulator that is gone."""
        return number <= int(self.meta(_GONE) or 0)

    def begin_anew(self, emulator: str | None, *, ended_at: str) -> None:
        """Commit that nothing is remembered any more, since something else is there, and close what is unfinished.

        Args:
            emulator: the one that is there; None where what is there is none.
            ended_at: when the unfinished runs are closed (wire time).
        """
        self._write([
            *((statement, ()) for statement in _ABANDON),
            (_CLOSE, (ended_at,)),
            *((f"DELETE FROM {table}", ()) for table in _REMEMBERING),
            *(("DELETE FROM meta WHERE name = ?", (name,)) for name in (_KEY, _FRAME, EMULATOR)),
            ("DELETE FROM meta WHERE substr(name, 1, ?) = ?", (len(BASELINE), BASELINE)),
            *([(NOTE, (EMULATOR, emulator))] if emulator is not None else []),
            (NOTE, (_GONE, str(super().last_number()))),
            self._counted(),
        ])  # fmt: skip

    def forget(self, streams: Mapping[str, SnapshotFile]) -> None:
        """Commit that streams know nothing any more of what was delivered, refused and read.

        Args:
            streams: by name, with the file of memory that stays: of claims; without rows where there are none.
        """
        last = str(super().last_number())
        self._write([
            *(statement for stream, file in streams.items() for statement in self._remembering(stream, file)),
            *((f"DELETE FROM {table} WHERE stream = ?", (stream,)) for table in _REMEMBERING[1:] for stream in streams),
            *((NOTE, (_forgotten(stream), last)) for stream in streams),
            *(("DELETE FROM meta WHERE name = ?", (f"{BASELINE}{stream}",)) for stream in streams),
            ("DELETE FROM meta WHERE name = ?", (_FRAME,)),
            self._counted(),
        ])  # fmt: skip

    def is_forgotten(self, number: int, stream: str) -> bool:
        """Whether what a run, by its number, delivered of a stream does not count any more."""
        return self.is_gone(number) or number <= int(self.meta(_forgotten(stream)) or 0)

    def erase(self, memory: Mapping[str, SnapshotFile], refused: Mapping[str, SnapshotFile]) -> None:
        """Commit that files stand for what streams remember, and for what was refused of them, without some rows."""
        self._write([
            *(statement for stream, file in memory.items() for statement in self._remembering(stream, file)),
            *(_refusing(stream, file) for stream, file in refused.items()),
        ])  # fmt: skip

    def _remembering(self, stream: str, file: SnapshotFile) -> list[Statement]:
        """Return the statements by which one file is all that a stream remembers."""
        if not file.rows:
            return [("DELETE FROM memory WHERE stream = ?", (stream,))]
        return self._replacing(stream, self.memory()[stream], file)

    def _counted(self) -> Statement:
        """Return the statement that counts one more time: a plan that was made before is out of date."""
        return NOTE, (_TIMES, str(int(self.meta(_TIMES) or 0) + 1))


def _forgotten(stream: str) -> str:
    return f"forgotten of {stream}"


def _refusing(stream: str, file: SnapshotFile) -> Statement:
    if not file.rows:
        return "DELETE FROM refused WHERE stream = ?", (stream,)
    return "UPDATE refused SET file = ?, rows = ?, digest = ? WHERE stream = ?", (*file, stream)
