"""A load that several processes send: a ledger on PostgreSQL, files on this machine's disk, a plan of many parts."""

import json
import signal
import time
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import parts
from driver import Child, Load, name_of
from pyarrow import parquet
from servers import postgres_url

ENDED = {"succeeded", "rejected"}
# Who has intended a chunk, and when: noted by the server itself.
WATCH = """
    CREATE SEQUENCE seen_at;
    CREATE TABLE seen (at BIGINT DEFAULT nextval('seen_at'), stream BIGINT, first BIGINT, backend BIGINT);
    CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO seen (stream, first, backend) VALUES (NEW.stream, NEW.first, pg_backend_pid()); RETURN NEW;
    END $$;
    CREATE TRIGGER see AFTER INSERT OR UPDATE ON chunk FOR EACH ROW WHEN (NEW.state = 'intent') EXECUTE FUNCTION see();
"""


@dataclass
class Shared(Load):
    """A load with its ledger on a server."""

    part: int = 60
    pipeline: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._name = f"s{time.time_ns()}"
        text = (self.folder / "pipeline.yaml").read_text("utf-8").replace("name: rehearsed", f"name: {self._name}", 1)
        self.write("pipeline.yaml", text.replace("timeout: 5s", "timeout: 3s") + self.pipeline)
        self.environment = {**self.environment, "BUCKET_LOADER_STATE": postgres_url()}

    def plan(self) -> str:
        """Plan a run of many parts, and return its name; nothing is sent."""
        assert self.run("plan") == 0, self.stderr()
        run = self.told()["run"]
        self.folder_of_plan = parts.cut(Path(self.told()["plan"]), self.part).folder
        with self.server() as ask:
            ask(WATCH)
        return run

    @contextmanager
    def server(self):
        """Ask the ledger, or change it, over a connection of its own."""
        import psycopg

        with psycopg.connect(postgres_url(), autocommit=True) as connection:
            ((schema,),) = connection.execute(
                "SELECT nspname FROM pg_namespace WHERE starts_with(nspname, %s)", (f"bucket_loader@{self._name}@",)
            ).fetchall()
            connection.execute(f'SET search_path TO "{schema}"')

            def ask(statement: str) -> list[tuple[Any, ...]]:
                cursor = connection.execute(statement)
                return cursor.fetchall() if cursor.description else []

            yield ask

    def asked(self, query: str) -> list[tuple[Any, ...]]:
        """Ask the ledger, as soon as the server is there."""
        import psycopg

        while True:
            try:
                with self.server() as ask:
                    return ask(query)
            except psycopg.OperationalError:
                time.sleep(0.1)

    @property
    def state(self) -> Path:
        """The folder of the state."""
        return self.folder_of_plan.parents[1]

    def planned(self, run: str, stream: str) -> list[str]:
        """Return the names of a planned stream's records, by sequence, through all parts."""
        if (run, stream) not in self._planned:
            manifest = json.loads((self.state / "plans" / run / "manifest.json").read_bytes())
            (files,) = [[part["file"] for part in one["parts"]] for one in manifest["streams"] if one["name"] == stream]
            tables = [parquet.read_table(self.state / "plans" / run / file, columns=["record"], use_threads=False)
                      for file in files]  # fmt: skip
            records = [record for table in tables for record in table["record"].to_pylist()]
            self._planned[run, stream] = [name_of(json.loads(record)) for record in records]
        return self._planned[run, stream]

    def senders(self) -> list[tuple[str, int, bool]]:
        """Return who sends: its name, its process, and whether it has a part."""
        return [(name, int(pid), has) for name, pid, has in self.asked(
            "SELECT s.sender, s.pid, EXISTS (SELECT 1 FROM part p WHERE p.sender = s.sender AND p.ended IS NULL) "
            "FROM sender s WHERE s.ended IS NULL ORDER BY s.joined")]  # fmt: skip

    def sent_by_one_at_a_time(self) -> None:
        """Hold who intended the chunks of each part against what was promised: one after another, never in turns."""
        before: dict[int, list[int]] = {}
        for stream, first, backend in self.asked("SELECT stream, first, backend FROM seen ORDER BY at"):
            if not self.alone:
                before.setdefault((stream, first // self.part), []).append(backend)
        for part, backends in before.items():
            turns = [backend for backend, _ in groupby(backends)]
            assert len(turns) == len(set(turns)), f"part {part} was sent by turns: {turns}"

    alone = False  # whether the one who ends the run has come: it goes through all parts


def frozen(child: Child) -> None:
    """Let a process stand still."""
    child.send(signal.SIGSTOP)
    while not (child.ended() or child.stopped()):
        time.sleep(0.005)
