"""What came of the test of a pipeline: how much it expects, and what is not so."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class AssertionFailed:
    """Something that a test of a pipeline expects is not so. It shows values: who tests asks for them.

    Attributes:
        file, line: where the test says it.
        what: what is expected to be otherwise.
        expected, found: how it should be, and how it is.
        nearest: what comes next to it, where there is something.
    """

    file: str
    line: int
    what: str
    expected: str
    found: str
    nearest: str = ""

    @property
    def text(self) -> str:
        """The lines that a person reads."""
        nearest = f"\n      nearest: {self.nearest}" if self.nearest else ""
        return f"{self.file}:{self.line}: {self.what}: expected {self.expected}, found {self.found}{nearest}"


@dataclass(frozen=True, slots=True)
class AssertionsEnded:
    """A test of a pipeline was held against what came of the run.

    Attributes:
        file: the assert file.
        checked: how many things it expects.
        failed: those that are not so.
        exit_code: what the command ends with.
    """

    file: str
    checked: int
    failed: tuple[AssertionFailed, ...]
    exit_code: int

    @property
    def text(self) -> str:
        """The line that a person reads."""
        if self.failed:
            return f"{self.file}: {len(self.failed):,} of {self.checked:,} assertions do not hold"
        return f"{self.file}: all {self.checked:,} assertions hold"

    def as_json(self) -> dict[str, Any]:
        """Return what `--json` prints of it."""
        return {"file": self.file, "checked": self.checked, "failed": [asdict(one) for one in self.failed]}
