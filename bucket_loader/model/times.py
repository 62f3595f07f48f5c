"""Times as they are spelt on the wire, in the ledger and in the logs: UTC, milliseconds, Z."""

from datetime import UTC, datetime, timedelta
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MS: Final = timedelta(milliseconds=1)


def wire_timestamp(moment: datetime) -> str:
    """Spell a moment in UTC as the API's examples do."""
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


def wire_ms(moment: datetime) -> int:
    """Return a moment in UTC as milliseconds since 1970, cut as on the wire."""
    return (moment - _EPOCH) // _MS


def wire_of_ms(ms: int) -> str:
    """Spell the moment so many milliseconds after 1970."""
    return wire_timestamp(_EPOCH + ms * _MS)


def wire_now() -> str:
    """Spell this moment."""
    return wire_timestamp(datetime.now(UTC))


def read_time(text: str) -> datetime:
    """Read a time that a person or a program wrote: ISO 8601, UTC where it names no zone; the result is in UTC.

    Raises:
        ValueError: it is no time.
    """
    return in_utc(datetime.fromisoformat(text))


def spoken_time(text: str) -> str:
    """Return a time of the wire as a person reads it, to the second: `2026-01-31 03:00:00 UTC`."""
    return f"{read_time(text):%Y-%m-%d %H:%M:%S} UTC"


def in_utc(moment: datetime) -> datetime:
    """Return a moment in UTC; one without a zone is taken to be in UTC."""
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
