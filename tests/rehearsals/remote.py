"""A load whose state lies where no worker's disk is: a ledger on PostgreSQL, files in a store."""

import json
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import stores
from driver import Child, Load, name_of
from harm import Harm
from pyarrow import fs, parquet
from servers import postgres_url

RUN_AGAIN = 75


@dataclass
class Remote(Load):
    """A load whose state lies on a server and in a store; what is left is read there."""

    store: Any = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self._name = f"r{time.time_ns()}"
        text = (self.folder / "pipeline.yaml").read_text("utf-8").replace("name: rehearsed", f"name: {self._name}", 1)
        self.write("pipeline.yaml", text)
        url = self.store.url("states")
        self.environment |= {
            "BUCKET_LOADER_STATE": f"{postgres_url()} {url}",
            "AWS_ENDPOINT_URL": self.store.endpoint,
            "AWS_REGION": "us-east-1",
        }

    def another(self, folder: Path) -> "Remote":
        """Return another worker of the same pipeline and state, which has nothing but the exports."""
        it = replace(self, folder=folder)
        it._name = self._name
        it.write("pipeline.yaml", (self.folder / "pipeline.yaml").read_text("utf-8"))
        return it

    def run(self, *words: str, harm: Harm | None = None) -> int:
        """Run a command to its end; again where the server crashed, for another load, before it was begun."""
        code = super().run(*words, harm=harm)
        while code == RUN_AGAIN and "broke" in (self.told().get("error") or {}).get("message", ""):
            code = super().run(*words, harm=harm)
        return code

    def asked(self, query: str) -> list[tuple[Any, ...]]:
        """Ask the ledger over a connection of its own, as soon as the server is there."""
        import psycopg

        while True:
            try:
                with psycopg.connect(postgres_url(), autocommit=True) as connection:
                    found = connection.execute(
                        "SELECT schemaname FROM pg_tables WHERE tablename = 'chunk' AND starts_with(schemaname, %s)",
                        (f"bucket_loader@{self._name}@",),
                    ).fetchall()
                    for (schema,) in found:
                        connection.execute(f'SET search_path TO "{schema}"')
                        return connection.execute(query).fetchall()
                    return []
            except psycopg.OperationalError:
                time.sleep(0.1)

    def lose_lock(self, child: Child) -> None:
        """Let a run stand still, and end its session: what keeps others out is gone, and it does not know."""
        child.send(signal.SIGSTOP)
        self.asked("SELECT pg_terminate_backend(backend::int) FROM owner")
        for lock in self.folder.glob(".bucket_loader/*/lock"):
            lock.unlink(missing_ok=True)

    def _objects(self, folder: str) -> Iterator[str]:
        selector = fs.FileSelector(f"{stores.BUCKET}/states", recursive=True, allow_not_found=True)
        for info in self.store.files.get_file_info(selector):
            if info.is_file and f"/{self._name}@" in info.path and f"/{folder}" in info.path:
                yield info.path

    def planned(self, run: str, stream: str) -> list[str]:
        """Read a planned stream from the store."""
        if (run, stream) not in self._planned:
            (path,) = [path for path in self._objects(f"plans/{run}/") if path.endswith(f"-{stream}.parquet")]
            table = parquet.read_table(path, filesystem=self.store.files, columns=["record"], use_threads=False)
            self._planned[run, stream] = [name_of(json.loads(record)) for record in table["record"].to_pylist()]
        return self._planned[run, stream]

    def letters(self) -> list[dict[str, Any]]:
        """Read the dead letters from the store."""
        found = []
        for path in sorted(self._objects("dead_letters/")):
            with self.store.files.open_input_stream(path) as file:
                found += [json.loads(line) for line in file.read().splitlines()]
        return found
