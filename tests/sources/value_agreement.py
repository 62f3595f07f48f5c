"""Random tables through every source: equal records, or refused alike."""

import json
import tempfile
import zlib
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings
from value_kinds import Unsayable
from value_tables import Table, meant, tables, words
from value_written import PLACES, Place, Queried

from bucket_loader.config.stream import Stream
from bucket_loader.model.errors import BucketLoaderError
from bucket_loader.planning.mapping import Arrays, compile_mapping
from bucket_loader.sources.base import folded

AS_OF = datetime(2026, 2, 1, tzinfo=UTC)
PLACES_A_TABLE = 5


def _held(place: Place, table: Table) -> Table:
    """Return of a table what a source can hold."""
    folds: set[str] = set()

    def keeps(name, node):
        if not place.keeps(name, node) or (place.folds and folded(name) in folds | {"id"}):
            return False
        folds.add(folded(name))
        return True

    def says(node, value):
        if value is not None:
            place.says(node, value)

    return table.of(keeps, says)


def arrived(source, table: Table, *, star: bool, keep: bool = False) -> dict[str, str | None]:
    """Return each row's record by its id; None for a row that was rejected."""
    fields = {"companyId": "id", "attributes": words(table, star=star)}
    stream = Stream.model_validate(
        {"name": "s", "record": "company", "source": "x", "fields": fields, "timezone": "UTC"}
    )
    found: dict[str, str | None] = {}
    reading = source.read()
    arrays = Arrays(keep=keep)
    with closing(
        compile_mapping(stream, reading.schema, as_of=AS_OF, record_bytes_max=2**20, arrays=arrays)
    ) as mapping:
        for batch, mapped in mapping.over(reading.batches):
            refused = [*mapped.rejections, *batch.unread]
            found |= {(one.row or {}).get("id") or table.ids[one.origin.row - 1]: None for one in refused}
            records = mapped.records["record"].to_pylist()
            found |= {json.loads(record)["companyId"]: record for record in records}
    unseen = source.unseen() if isinstance(source, Queried) else ()
    return found | {(one.row or {}).get("id") or table.ids[one.origin.row - 1]: None for one in unseen}


def disagreement(table: Table, name: str) -> str | None:
    """Return what a table is in a source, where that is not what it means."""
    place = PLACES[name]
    held = _held(place, table)
    if not held.columns or not held.rows:
        return None
    star, keep = place.star and held.star, len(repr(table)) % 2 == 1
    with tempfile.TemporaryDirectory() as folder:
        try:
            source = place.write(Path(folder), held)
            there = arrived(source, held, star=star, keep=keep)
        except Unsayable:
            return None
        except BucketLoaderError as error:
            return f"{type(error).__name__}: {error} ({error.hint})"
        except Exception as error:  # noqa: BLE001  # a traceback is what the user would see
            return f"TRACEBACK {type(error).__name__}: {str(error)[:300]}"
    expected = meant(held, as_text=place.as_text, typed=place.typed, keep=keep)
    rows = [f"    meant {expected.get(row)}\n    found {there.get(row)}" for row in {**expected, **there}
            if row not in there or row not in expected or there[row] != expected[row]]  # fmt: skip
    return f"star={star} keep={keep}\n" + "\n".join(rows[:2]) if rows else None


def smallest(table: Table, name: str) -> tuple[Table, str]:
    """Return the smallest part of a table that disagrees, too."""
    for part in table.parts():
        if (what := disagreement(part, name)) is not None:
            return part, what
    return table, disagreement(table, name) or "only once"


def _some(table: Table, names: Sequence[str], places: int) -> list[str]:
    """Return some of the sources for a table: in time each meets every kind of table."""
    first = zlib.crc32(repr(table).encode("utf-8", "surrogatepass"))
    return [names[(first + 5 * step) % len(names)] for step in range(min(len(names), places))]


def play(number: int, examples: int, names: Sequence[str], places: int = PLACES_A_TABLE) -> list[str]:
    """Play the tables of a seed, each in some of the sources; gives what disagrees, each as small as it gets."""
    found: list[str] = []

    @seed(number)
    @settings(max_examples=examples, database=None, deadline=None, phases=[Phase.generate],
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(tables())
    def agree(table: Table) -> None:
        for name in _some(table, names, places):
            if disagreement(table, name) is not None:
                part, what = smallest(table, name)
                found.append(f"{name}: {what}\n    {part}")

    agree()
    return found
