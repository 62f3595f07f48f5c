"""What is found while a test is held against a rehearsal: how much was looked at, and what is not as expected."""

from bucket_loader.config import Assertions
from bucket_loader.reporting import AssertionFailed
from bucket_loader.runs.asserting.values import Pair, same, shown_beside

Place = tuple[str | int, ...]


class Findings:
    """Collects them, each with its line in the assert file.

    Attributes:
        assertions: the test.
        checked: how many things were looked at.
        failed: those that are not as expected.
    """

    def __init__(self, assertions: Assertions) -> None:
        self.assertions = assertions
        self.checked = 0
        self.failed: list[AssertionFailed] = []

    def compare(self, place: Place, what: str, expected: object, found: object) -> None:
        """Hold one value against the expected one."""
        self.checked += 1
        if not same(expected, found):
            self.differs(place, (what, expected, found))

    def differs(self, place: Place, pair: Pair, nearest: str = "") -> None:
        """Note a value that is not the expected one."""
        what, expected, found = pair
        self.fail(place, what, shown_beside(expected, found), shown_beside(found, expected), nearest)

    def fail(self, place: Place, what: str, expected: str, found: str, nearest: str = "") -> None:
        """Note anything that is not as expected."""
        file, line = str(self.assertions.file), self.assertions.line(*place)
        self.failed.append(AssertionFailed(file, line, what, expected, found, nearest))
