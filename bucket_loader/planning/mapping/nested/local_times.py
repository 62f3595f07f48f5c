"""Times without a zone inside nested values: moved to UTC by the very SQL, and so by the zones, of all other times."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from functools import cached_property

import duckdb
import pyarrow as pa

from bucket_loader.planning.mapping.database import connected
from bucket_loader.planning.mapping.forms.times import to_utc
from bucket_loader.planning.mapping.nested.spelling import NoFormError


class LocalTimes:
    """Moves local times of one zone to UTC: many at once by `learn`, or one when it is asked for."""

    def __init__(self, timezone: str, dst: str | None) -> None:
        self._statement = f"SELECT l, {to_utc('l', timezone, dst)} FROM times"
        self._known: dict[datetime, datetime | str | None] = {}

    @cached_property
    def _connection(self) -> duckdb.DuckDBPyConnection:
        return connected()

    def learn(self, values: Iterable[object]) -> None:
        """Move all times without a zone that stand in nested values, and forget those of before."""
        self._known = self._moved({_plain(one) for value in values for one in _local_times(value)})

    def __call__(self, value: datetime) -> datetime:
        """Return a local time in UTC.

        Raises:
            NoFormError: it does not exist, or exists twice and `dst` does not decide; or it is beyond the year 9999.
        """
        value = _plain(value)
        if value not in self._known:
            self._known |= self._moved({value})
        moment = self._known[value]
        if moment is None:
            raise NoFormError("holds a local time that does not exist or exists twice (clock change)")
        if not isinstance(moment, datetime):  # DuckDB hands over as text what Python cannot hold
            raise NoFormError("holds a time whose year is not between 1000 and 9999")
        return moment.replace(tzinfo=UTC)

    def _moved(self, values: set[datetime]) -> dict[datetime, datetime | str | None]:
        if not values:
            return {}
        times = self._connection.from_arrow(pa.table({"l": pa.array(list(values), pa.timestamp("us"))}))
        return dict(times.query("times", self._statement).fetchall())


def _plain(value: datetime) -> datetime:
    if hasattr(value, "to_pydatetime"):  # pandas hands nanoseconds over
        found: datetime = value.to_pydatetime(warn=False)
        return found
    return value


def _local_times(value: object) -> Iterator[datetime]:
    """Return the times without a zone in a nested value, also those that are keys of maps."""
    if isinstance(value, datetime) and value.tzinfo is None:
        yield value
    elif isinstance(value, Mapping):
        for child in value.values():
            yield from _local_times(child)
    elif isinstance(value, (list, tuple)):
        for child in value:
            yield from _local_times(child)
