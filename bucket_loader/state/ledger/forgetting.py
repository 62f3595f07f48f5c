"""What a ledger forgets on purpose, each time in one commit: all that was delivered to an emulator that is gone."""

from typing import Final

from bucket_loader.state.ledger.database import NOTE, Statement
from bucket_loader.state.ledger.past import Past

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
    "DELETE FROM replay WHERE run IN (SELECT run FROM run WHERE status IN ('running', 'unfinished'))",
)
_CLOSE: Final = (
    "UPDATE run SET status = 'abandoned', exit_code = 75, ended_at = ? WHERE status IN ('running', 'unfinished')"
)


class Forgetting(Past):
    """The part of a ledger that forgets."""

    def last_number(self) -> int:
        """Return a number that rises with each run, and each time that something is forgotten."""
        return super().last_number() + int(self.meta(_TIMES) or 0)

    def is_gone(self, number: int) -> bool:
        """Whether a run, by its number, has sent to an emulator that is gone."""
        return number <= int(self.meta(_GONE) or 0)

    def begin_anew(self, emulator: str, *, ended_at: str) -> None:
        """Commit that nothing is remembered any more, since another emulator is there, and close what is unfinished.

        Args:
            emulator: the one that is there.
            ended_at: when the unfinished runs are closed (wire time).
        """
        self._write([
            *((statement, ()) for statement in _ABANDON),
            (_CLOSE, (ended_at,)),
            *((f"DELETE FROM {table}", ()) for table in _REMEMBERING),
            *(("DELETE FROM meta WHERE name = ?", (name,)) for name in (_KEY, _FRAME)),
            (NOTE, (EMULATOR, emulator)),
            (NOTE, (_GONE, str(super().last_number()))),
            self._counted(),
        ])  # fmt: skip

    def _counted(self) -> Statement:
        """Return the statement that counts one more time: a plan that was made before is out of date."""
        return NOTE, (_TIMES, str(int(self.meta(_TIMES) or 0) + 1))
