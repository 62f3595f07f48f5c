"""Attempts as the ledger keeps them: when each ended, what was answered, and how long it took.

Each is spelt with the same number of letters, so that a database can cut the text between two of them: an outage of
hours may try one chunk thousands of times. The first few and the last few stay; a chunk's count of attempts says how
many there were.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Final, NamedTuple


class Attempt(NamedTuple):
    """One request that was made.

    Attributes:
        at_ms: when it ended, in milliseconds since 1970, UTC.
        status: the HTTP status of the answer, three digits; None where none came.
        ms: how long it took, in milliseconds.
    """

    at_ms: int
    status: int | None
    ms: int


ATTEMPTS_FIRST: Final = 8  # attempts that stay of a chunk's first ones
ATTEMPTS_LAST: Final = 8  # and of its last
_MS_MAX: Final = 9_999_999  # 2.7 hours: a machine may sleep in between
_NONE: Final = "---"
NO_ANSWER: Final = "none"
UNRECORDED: Final = "unrecorded"  # made by an older version, or between the first and the last of many
ATTEMPT_LETTERS: Final = len("1764528000123:200:0000057 ")


def keep_attempt(attempts: list[Attempt], attempt: Attempt) -> None:
    """Add an attempt to those of a chunk; where they are many, one between the first and the last goes."""
    attempts.append(attempt)
    if len(attempts) > ATTEMPTS_FIRST + ATTEMPTS_LAST:
        del attempts[ATTEMPTS_FIRST]


def spell_attempts(attempts: Iterable[Attempt]) -> str:
    """Return attempts as the ledger spells them: `1764528000123:200:0000057 `, with `---` for no answer."""
    return "".join(map(_spelt, attempts))


def _spelt(attempt: Attempt) -> str:
    at_ms, status, ms = attempt
    return f"{at_ms:013d}:{status or _NONE}:{min(ms, _MS_MAX):07d} "


def count_statuses(text: str, attempts: int) -> Counter[str]:
    """Return how many attempts of a chunk had each answer: its status, `none`, or `unrecorded`.

    Args:
        text: those that are known one by one, as the ledger spells them.
        attempts: how many there were.
    """
    statuses = [one.split(":")[1] for one in text.split()]
    unrecorded = max(0, attempts - len(statuses))
    return Counter(NO_ANSWER if one == _NONE else one for one in statuses) + Counter({UNRECORDED: unrecorded})


def read_attempts(text: str) -> tuple[Attempt, ...]:
    """Return the attempts that the ledger spells so, oldest first."""
    return tuple(map(_read, text.split()))


def _read(text: str) -> Attempt:
    at_ms, status, ms = text.split(":")
    return Attempt(int(at_ms), None if status == _NONE else int(status), int(ms))
