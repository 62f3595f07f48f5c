"""The script for one shape of the events: rows as dictionaries, orjson, one session, a hundred records a request.

python shape_loop.py SHAPE
"""

import os
import sqlite3
import sys
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import orjson
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
from psycopg.rows import dict_row
from psycopg.types.json import set_json_loads
from pyarrow import csv as arrow_csv
from shared import CHUNK, FILE, begin, post

PAGE: Final = 10_000
ZONE: Final = ZoneInfo("Europe/Copenhagen")
Row = dict[str, Any]


def parquet() -> Iterator[Row]:
    """Return the rows of a Parquet file."""
    with pq.ParquetFile(FILE) as file:
        for batch in file.iter_batches(PAGE):
            yield from batch.to_pylist()


def csv() -> Iterator[Row]:
    """Return the rows of a CSV file, numbers as numbers."""
    options = arrow_csv.ConvertOptions(
        column_types={"used_at": pa.string(), "os_version": pa.string()}, strings_can_be_null=True
    )
    with arrow_csv.open_csv(FILE, convert_options=options) as file:
        for batch in file:
            yield from batch.to_pylist()


def jsonl() -> Iterator[Row]:
    """Return the objects of a JSON Lines file."""
    with Path(FILE).open("rb") as file:
        yield from map(orjson.loads, file)


def sqlite() -> Iterator[Row]:
    """Return the rows of a table of SQLite; it has no truth values."""
    connection = sqlite3.connect(FILE)
    found = connection.execute("SELECT * FROM events")
    names = [name for name, *_ in found.description]
    for values in found:
        row = dict(zip(names, values, strict=True))
        row["is_beta"], row["is_touch"] = bool(row["is_beta"]), bool(row["is_touch"])
        yield row
    connection.close()


def postgres() -> Iterator[Row]:
    """Return the rows of a table of PostgreSQL, a page at a time."""
    set_json_loads(orjson.loads)
    url, utc = os.environ["BENCHMARK_POSTGRES"], "-c timezone=UTC"
    with psycopg.connect(url, options=utc, row_factory=dict_row) as connection, connection.cursor("rows") as cursor:
        cursor.itersize = PAGE
        yield from cursor.execute(f"SELECT * FROM {Path(FILE).stem}")


def flat(row: Row) -> Row:
    """Return attributes that are columns."""
    return {name: value for name, value in row.items() if name not in NO_ATTRIBUTES}


def nested(row: Row) -> Row:
    """Return attributes that are in a struct, a list and a map."""
    usage = {f"usage.{name}": value for name, value in row["usage"].items()}
    return usage | {"tags": row["tags"]} | {f"device.{name}": value for name, value in row["device"]}


def of_object(row: Row) -> Row:
    """Return attributes that are in an object with another in it."""
    properties = row["properties"]
    if isinstance(properties, str):
        properties = orjson.loads(properties)
    device = properties.pop("device")
    attributes = {f"properties.{name}": value for name, value in properties.items()}
    return attributes | {f"properties.device.{name}": value for name, value in device.items()}


def moment(at: datetime) -> str:
    """Spell a time that stands in UTC."""
    return at.isoformat(timespec="milliseconds")[:23] + "Z"


def local(text: str) -> str:
    """Spell a time of a zone."""
    return moment(datetime.strptime(text, "%d.%m.%Y %H:%M").replace(tzinfo=ZONE).astimezone(UTC))


NO_ATTRIBUTES: Final = {"usage_id", "user_id", "account_id", "feature_name", "used_at"}
SHAPES: Final[dict[str, tuple[Callable[[], Iterable[Row]], Callable[[Any], str], Callable[[Row], Row]]]] = {
    "flat": (parquet, moment, flat),
    "nested": (parquet, moment, nested),
    "json-text": (parquet, moment, of_object),
    "json-lines": (jsonl, str, of_object),
    "csv": (csv, str, flat),
    "csv-local": (csv, local, flat),
    "sqlite": (sqlite, str, flat),
    "postgres": (postgres, moment, of_object),
    "wide": (parquet, moment, flat),
}


def main() -> None:
    """Load the rows."""
    rows, time, attributes = SHAPES[sys.argv[1]]
    batch = []
    for row in rows():
        batch.append(
            {
                "type": "event",
                "userId": row["user_id"],
                "companyId": row["account_id"],
                "event": row["feature_name"],
                "timestamp": time(row["used_at"]),
                "attributes": attributes(row),
            }
        )
        if len(batch) == CHUNK:
            post(orjson.dumps(batch))
            batch = []
    if batch:
        post(orjson.dumps(batch))


if __name__ == "__main__":
    begin()
    main()
