"""What a command waits for, as a value: an outage, a rate limit, a lock."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

Cause: TypeAlias = Literal["unreachable", "no_answer", "server_error", "rate_limit", "refused", "lock", "ledger"]


@dataclass(frozen=True, slots=True)
class Wait:
    """What stands in the way, as it is at one moment.

    Attributes:
        cause: what it is, in a word for programs.
        why: the same for a person.
        hint: what a person can do about it.
        tries: how often it was tried since then, without success; 0 where each look is a try.
        waited_s: for how many seconds it has been so.
        next_s: seconds until the next try; None while one is under way.
        left_s: seconds until it is waited for no longer; infinite where it is waited for as long as it takes.
    """

    cause: Cause
    why: str
    hint: str
    tries: int
    waited_s: float
    next_s: float | None
    left_s: float
