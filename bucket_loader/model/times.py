"""Times as they are spelt on the wire, in the ledger and in the logs: UTC, milliseconds, Z."""

from datetime import UTC, datetime


def wire_timestamp(moment: datetime) -> str:
    """Spell a moment in UTC as the API's examples do."""
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


def wire_now() -> str:
    """Spell this moment."""
    return wire_timestamp(datetime.now(UTC))


def read_time(text: str) -> datetime:
    """Read a time that a person or a program wrote: ISO 8601, UTC where it names no zone; the result is in UTC.

    Raises:
        ValueError: it is no time.
    """
    return in_utc(datetime.fromisoformat(text))


def in_utc(moment: datetime) -> datetime:
    """Return a moment in UTC; one without a zone is taken to be in UTC."""
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
