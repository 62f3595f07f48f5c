"""Whose a state is: a pipeline's name, an environment and a host, exactly; and the folder that no other has.

Folders were once named by a spelling that other names could share. Such a folder belongs to the name that its ledger
notes; only that one goes on with it.
"""

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import astuple, dataclass
from typing import Final

from bucket_loader.config import Pipeline
from bucket_loader.model import StateError
from bucket_loader.state.ledger import Ledger

Notes = Mapping[str, str | None]
_IDENTITY, _PIPELINE, _WAS_SPELT = "identity", "pipeline", "was_spelt"
NOTES: Final = (_IDENTITY, _PIPELINE, _WAS_SPELT)  # what a ledger notes of whose it is
# Lower case alone: some file systems take `Daily` for `daily`. A host's port has the one colon.
_KEPT: Final = re.compile(r"[a-z0-9_.-]+@[a-z0-9_.-]+@[a-z0-9.-]+(:[0-9]+)?")
_LONGEST: Final = 120  # characters: some encrypted file systems allow 143 bytes
_DIGITS: Final = 12  # of the digest


@dataclass(frozen=True)
class Identity:
    """What a state belongs to."""

    pipeline: str
    environment: str
    host: str

    @classmethod
    def of(cls, pipeline: Pipeline) -> "Identity":
        """Return the identity of a pipeline's state."""
        return cls(pipeline.name, pipeline.destination.environment, pipeline.destination.host)

    @property
    def note(self) -> str:
        """What a ledger notes of it."""
        return json.dumps(astuple(self))

    @property
    def spelling(self) -> str:
        """What can be read of it in a folder's name; another identity may be spelt alike."""
        return "@".join(re.sub(r"[^A-Za-z0-9_.-]+", "_", part) for part in astuple(self))

    @property
    def folder(self) -> str:
        """The name of its folder: the spelling, and a digest where the spelling has lost something."""
        if _KEPT.fullmatch("@".join(astuple(self))) and len(self.spelling) <= _LONGEST:
            return self.spelling
        digest = hashlib.sha256(self.note.encode()).hexdigest()[:_DIGITS]
        return f"{self.spelling[:_LONGEST]}@{digest}"

    def folder_there(self, noted: Callable[[str], Notes | None]) -> str:
        """Return the name of its folder: that of an older version, where this one goes on with it.

        Args:
            noted: returns the `NOTES` of the state with such a folder; None when there is none.

        Raises:
            StateError: the older one is another pipeline's, and may hold what this one has sent.
        """
        if self.folder == self.spelling or noted(self.folder) is not None:
            return self.folder
        older = noted(self.spelling)
        if older is None or (older[_IDENTITY] not in {None, self.note} and not older[_WAS_SPELT]):
            return self.folder
        self.require_mine(older, self.spelling)
        return self.spelling

    def require_mine(self, notes: Notes, where: str) -> None:
        """Refuse a state that notes another owner.

        Raises:
            StateError: it does.
        """
        known = notes[_IDENTITY]
        if known == self.note or (known is None and notes[_PIPELINE] in {None, self.pipeline}):
            return
        owner = f"pipeline {notes[_PIPELINE]!r}" if known is None else str(Identity(*json.loads(known)))
        raise StateError(
            f"the state {where} belongs to {owner}, and this is {self}: older versions gave both the same folder, "
            "so it may hold what either has sent",
            hint="give this pipeline a --state of its own, where all of its rows count as new; or its old name back",
        )

    def __str__(self) -> str:
        return f"pipeline {self.pipeline!r} ({self.environment!r}, {self.host})"

    def claim(self, ledger: Ledger, where: str) -> None:
        """Note in a ledger that it is this identity's, for ever.

        Raises:
            StateError: it is another's.
        """
        notes = notes_of(ledger)
        self.require_mine(notes, where)
        if notes[_IDENTITY] is None:
            is_older = notes[_PIPELINE] is not None or ledger.has_runs()
            ledger.note(identity=self.note, **({_WAS_SPELT: self.spelling} if is_older else {}))


def notes_of(ledger: Ledger) -> Notes:
    """Return what a ledger notes of whose it is."""
    return {name: ledger.meta(name) for name in NOTES}
