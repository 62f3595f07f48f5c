"""What a plan notes of a stream's reading, so that `limits:` can be held against the plan alone."""

import msgspec


class Facts(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is known of a stream's reading.

    Attributes:
        whole: whether its whole source was read: no part that a cursor, an interval or new files cut out, and no limit.
        limited: whether only as many rows were read as somebody asked for.
        made: how many rows make a record, sent or not.
        remembered: how many records its memory holds; only where the whole source has no row.
        spread: the columns that a `*` sends; None where there is none.
        beside: the columns that are there, or left out by name, and that a `*` does not send.
        fresh: the column of which `limits: fresh` asks.
        latest: the latest time in it; None where there is none.
        nulls: how many records lack a field, for the fields that limits ask for.
        lacking: those of these fields that no record has, since no column of today gives it.
    """

    whole: bool = False
    limited: bool = False
    made: int = 0
    remembered: int = 0
    spread: tuple[str, ...] | None = None
    beside: tuple[str, ...] = ()
    fresh: str | None = None
    latest: str | None = None
    nulls: dict[str, int] = msgspec.field(default_factory=dict)
    lacking: tuple[str, ...] = ()
