"""What an engine and its worker processes say to each other, beside items and what is made of them."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Job:
    """A function to run; its items come behind it. The key of hashes is not in it."""

    function: object
    key: bytes | None = field(repr=False)


@dataclass(frozen=True)
class Wants:
    """A worker has begun with an item, and wants to have the next one at hand."""


@dataclass(frozen=True)
class End:
    """No item is left; or, back, all is made."""


@dataclass(frozen=True)
class Failed:
    """What a worker raised."""

    error: BaseException
