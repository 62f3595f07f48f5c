"""What streams have delivered and what a plan sends, of the companies and users that the plan touches.

Each record becomes a row of what it says of the asked attributes, as JSON, in a database that is thrown away. So any
number of records, of any number of streams, is brought together by id with little memory.

    said_company, said_user   id, place (of the stream), side (before, after), number, v0, v1, ...
    touched_*                 the ids that the plan names
    involved_*                these, and whom they are evaluated with
    pairs                     which user is known with which company
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import duckdb
import numpy as np
import pyarrow as pa

from bucket_loader.config import Pipeline, Stream
from bucket_loader.model import COMPANY, KINDS, USER, int64_array, literal, ordinals_from
from bucket_loader.planning import Plan
from bucket_loader.runs.impact.asked import WHOSE, Asked, delivered
from bucket_loader.runs.life.sought import names_users
from bucket_loader.state import State, own_database, snapshots

BEFORE: Final = 0
AFTER: Final = 1
NOT_REMEMBERED: Final = "?"  # no JSON: in the place of a value that was delivered, and that nobody remembers
_AT_ONCE: Final = 1 << 15
_WITH_RECORDS: Final = snapshots.part_schema(records=True)


@dataclass(frozen=True)
class Gathered:
    """What is known of those that a plan touches.

    Attributes:
        database: holds it.
        asked: what is asked of companies and of users.
        sent: which of the asked attributes any stream sends.
        is_of_users: whether anything is asked of users.
    """

    database: duckdb.DuckDBPyConnection
    asked: dict[str, Asked]
    sent: dict[str, set[str]]
    is_of_users: bool

    def count(self, table: str) -> int:
        """Return how many rows a table has."""
        ((found,),) = self.database.execute(f"SELECT count(*) FROM {table}").fetchall()
        return int(found)


@contextmanager
def gathered(plan: Plan, pipeline: Pipeline, state: State, asked: dict[str, Asked]) -> Iterator[Gathered]:
    """Gather what is known of those that a plan touches; forget it at the end.

    Raises:
        StateError: a file of memory is not what was written.
        OSError: the disk refuses.
    """
    with (
        TemporaryDirectory(dir=plan.folder, prefix="impact-") as folder,
        own_database(Path(folder)) as database,
    ):
        database.execute(f"ATTACH {literal(str(Path(folder, 'said')))} AS said; USE said")
        gathering = _Gathering(plan, pipeline, state, asked, database)
        gathering.take_plan()
        gathering.take_pairs()
        gathering.take_memory()
        yield Gathered(database, asked, gathering.sent(), gathering.is_of_users)


@dataclass(frozen=True)
class _Gathering:
    """Brings the records of a plan, and what is remembered beside them, into the database."""

    plan: Plan
    pipeline: Pipeline
    state: State
    asked: dict[str, Asked]
    database: duckdb.DuckDBPyConnection

    @property
    def is_of_users(self) -> bool:
        """Whether anything is asked of users; else nobody looks at them."""
        return USER.name in self.asked

    # --- the plan ---

    def take_plan(self) -> None:
        """Take what the plan sends, and whom it touches."""
        for whose in WHOSE:
            values = "".join(f", v{place} VARCHAR" for place in range(len(self._attributes(whose))))
            self.database.execute(
                f"CREATE TABLE said_{whose} (id VARCHAR, place INTEGER, side TINYINT, number BIGINT{values})"
            )
        self.database.execute("CREATE TABLE pairs (company VARCHAR, member VARCHAR)")
        places = {stream.name: place for place, stream in delivered(self.pipeline)}
        for planned in self.plan.manifest.streams:
            if planned.name in places and (kind := KINDS[planned.kind]).ordered and planned.kind in self.asked:
                first = 0
                for batch in self.plan.keys(planned, records=True):
                    numbered = pa.table({"number": ordinals_from(first, batch.num_rows), "record": batch["record"]})
                    self._say(kind.name, places[planned.name], AFTER, numbered)
                    first += batch.num_rows
        for whose in WHOSE:
            self.database.execute(f"CREATE TABLE touched_{whose} AS SELECT DISTINCT id FROM said_{whose}")

    def _attributes(self, whose: str) -> Sequence[str]:
        return self.asked[whose].attributes if whose in self.asked else ()

    def _say(self, whose: str, place: int, side: int, records: pa.Table, within: str = "true") -> None:
        """Take what records say of the asked attributes.

        Args:
            whose: what they are about.
            place: of their stream.
            side: whether they are remembered or planned.
            records: `number`, `record`.
            within: a condition on `id`.
        """
        self.database.register("records", records)
        names = self._attributes(whose)
        pointers = ", ".join(literal(_pointer(name)) for name in names)
        extracted = f", json_extract(record, [{pointers}]) AS x" if names else ""
        values = "".join(f", x[{number + 1}]" for number in range(len(names)))
        self.database.execute(
            f"INSERT INTO said_{whose} SELECT id, {place}, {side}, number{values} FROM "
            f"(SELECT json_extract_string(record, '/{whose}Id') AS id, number{extracted} FROM records) WHERE {within}"
        )
        if whose == COMPANY.name and self.is_of_users and side == AFTER:
            self._pair()
        self.database.unregister("records")

    def _pair(self, within: str = "true") -> None:
        """Note which users the records of companies name."""
        self.database.execute(
            "INSERT INTO pairs SELECT DISTINCT company, member FROM (SELECT json_extract_string(record, '/companyId') "
            "AS company, json_extract_string(record, '/userId') AS member FROM records) "
            f"WHERE member IS NOT NULL AND {within}"
        )

    # --- who is evaluated with whom ---

    def take_pairs(self) -> None:
        """Find whom the touched are evaluated with."""
        if self.is_of_users:
            touched = "(company IN (FROM touched_company) OR member IN (FROM touched_user))"
            for _, stream in delivered(self.pipeline):
                if names_users(stream):
                    for table in self._whole_memory(stream):
                        self.database.register("records", table)
                        self._pair(touched)
                        self.database.unregister("records")
            self.database.execute("CREATE OR REPLACE TABLE pairs AS SELECT DISTINCT company, member FROM pairs")
        for whose, column in (("company", "company"), ("user", "member")):
            self.database.execute(
                f"CREATE TABLE involved_{whose} AS SELECT id FROM touched_{whose} UNION SELECT {column} FROM pairs"
            )

    # --- what is remembered ---

    def take_memory(self) -> None:
        """Take what streams remember of those who are involved."""
        for place, stream in delivered(self.pipeline):
            if stream.record not in self.asked:
                continue
            if not stream.mode.compares:
                if self.state.ledger.has_runs():
                    self._unknown(stream, place, "SELECT id FROM involved")
            elif names_users(stream):
                self._scan(stream, place)
            else:
                self._find(stream, place)

    def _scan(self, stream: Stream, place: int) -> None:
        """Take what a stream remembers whose keys are of company and user: all of it is looked at."""
        is_whole = True
        for table in self._whole_memory(stream):
            known = table.filter(table["record"].is_valid())
            is_whole = is_whole and known.num_rows == table.num_rows
            self._say(stream.record, place, BEFORE, known, f"id IN (FROM involved_{stream.record})")
        if not is_whole:
            self._unknown(stream, place, "SELECT id FROM involved")

    def _whole_memory(self, stream: Stream) -> Iterator[pa.Table]:
        memory = self.state.memory_of(stream.name)
        for keys in snapshots.key_ranges(memory.rows, _AT_ONCE) if memory.rows else ():
            table = memory.of(keys, _WITH_RECORDS)
            yield pa.table({"number": ordinals_from(0, table.num_rows), "record": table["record"]})

    def _find(self, stream: Stream, place: int) -> None:
        """Take what a stream remembers whose keys follow from the ids."""
        memory = self.state.memory_of(stream.name)
        if not memory.rows:
            return
        key = f"unhex(md5('1:{stream.record}:' || CAST(to_json(id) AS VARCHAR)))"  # as the mapping hashes them
        wanted = self.database.cursor().sql(
            f"SELECT {key} AS key, id FROM said.main.involved_{stream.record} ORDER BY 1"
        )
        for batch in wanted.to_arrow_reader(_AT_ONCE):
            keys = snapshots.as_keys(batch["key"].cast(pa.binary(16)))
            found = memory.find(keys, _WITH_RECORDS)
            places = np.searchsorted(keys, snapshots.as_keys(found["key"]))
            ids = batch["id"].take(int64_array(places))
            known = found["record"].is_valid()
            records = pa.table({"number": ordinals_from(0, found.num_rows), "record": found["record"]})
            self._say(stream.record, place, BEFORE, records.filter(known))
            self.database.register("lost", pa.table({"id": ids}).filter(found["record"].is_null()))
            self._unknown(stream, place, "SELECT id FROM lost")
            self.database.unregister("lost")

    def _unknown(self, stream: Stream, place: int, whom: str) -> None:
        """Note that a stream has delivered what nobody remembers; what is remembered of it all the same comes after."""
        whose = stream.record
        sent = self._sent_by(stream)
        values = "".join(f", {literal(NOT_REMEMBERED) if name in sent else 'NULL'}" for name in self._attributes(whose))
        whom = whom.replace("FROM involved", f"FROM involved_{whose}")
        self.database.execute(f"INSERT INTO said_{whose} SELECT id, {place}, {BEFORE}, -1{values} FROM ({whom})")

    # --- what is sent at all ---

    def sent(self) -> dict[str, set[str]]:
        """Return which of the asked attributes any stream can send, or has sent."""
        found = {}
        for whose in self.asked:
            streams = [stream for _, stream in delivered(self.pipeline) if stream.record == whose]
            found[whose] = set[str]().union(*map(self._sent_by, streams)) | self._met(whose)
        return found

    def _sent_by(self, stream: Stream) -> set[str]:
        planned = next((one for one in self.plan.manifest.streams if one.name == stream.name), None)
        columns = None
        if planned is not None:
            kind = self.plan.records(planned).schema.field("row").type
            columns = pa.schema(list(kind))
        return self.asked[stream.record].sent_by(stream, columns)

    def _met(self, whose: str) -> set[str]:
        """Return the attributes that a record says something of."""
        names = self._attributes(whose)
        if not names:
            return set()
        counts = ", ".join(f"count(nullif(v{number}, {literal(NOT_REMEMBERED)}))" for number in range(len(names)))
        (found,) = self.database.execute(f"SELECT {counts} FROM said_{whose}").fetchall()
        return {name for name, count in zip(names, found, strict=True) if count}


def _pointer(name: str) -> str:
    """Return where an attribute stands in a record, as a JSON pointer."""
    return "/attributes/" + name.replace("~", "~0").replace("/", "~1")
