"""Pipelines of `pipelines/` run for real, against an emulator, with a state of their own."""

import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import requests

from bucket_loader.config.yaml_file import load_pipeline
from bucket_loader.emulator.http.server import Endpoint, running
from bucket_loader.planning.plan_file import Plan
from bucket_loader.reporting.summary import Summary
from bucket_loader.reporting.text import on_stderr
from bucket_loader.runs.job import Job, RunOptions
from bucket_loader.runs.plan import make_plan
from bucket_loader.runs.run import run_job
from bucket_loader.state import dead_letters
from bucket_loader.state.dead_letters import Entry

ROOT = Path(__file__).parents[2]
SAMPLE_DATA = ROOT / "sample_data"
AS_OF = datetime(2026, 1, 1, tzinfo=UTC)
WHOLE_YEAR = (datetime(2025, 1, 1, tzinfo=UTC), AS_OF)

PROMISED = json.loads((SAMPLE_DATA / "bad_rows.json").read_bytes())

Verdict = tuple[str, int, str, tuple[str, ...]]
"""Where a bad row is (file or table, and number), the stage that rejects it, and the codes of its reasons."""


@dataclass
class Rehearsal:
    """An emulator, and a folder for the states of the pipelines that run against it."""

    endpoint: Endpoint
    folder: Path
    summaries: list[Summary] = field(default_factory=list)
    requests_after: list[int] = field(default_factory=list)

    def job(self, name: str | Path, *, state: str = "state", **options: Any) -> Job:
        """Make the job of one of our pipelines, or of a file; all options but the state are `RunOptions`."""
        file = name if isinstance(name, Path) else ROOT / "pipelines" / f"{name}.yaml"
        variables = {"BUCKET_BASE_URL": self.endpoint.url, "BUCKET_SECRET_KEY": self.endpoint.secret_key}
        given = RunOptions(**{"as_of": AS_OF, "interval": WHOLE_YEAR, "state": self.folder / state} | options)
        return Job(load_pipeline(file, variables=variables), file.parent, given, on_stderr(quiet=True))

    def run(self, name: str | Path, **options: Any) -> Summary:
        """Run a pipeline, and note what it came to and how many requests the emulator had seen after it."""
        self.summaries.append(run_job(self.job(name, **options)))
        self.requests_after.append(self.state()["requests"])
        return self.summaries[-1]

    def plan(self, name: str) -> Plan:
        """Plan a pipeline as if it had never run."""
        job = self.job(name, state="untouched")
        with closing(job.open_state()) as state:
            return make_plan(job, state)

    def get(self, path: str) -> requests.Response:
        """Look inside the emulator."""
        with requests.Session() as session:
            session.trust_env = False
            return session.get(f"{self.endpoint.url}/_emulator/{path}", timeout=10)

    def state(self) -> dict[str, int]:
        """Return the emulator's counts."""
        return dict(self.get("state").json())

    def user(self, user_id: str) -> dict[str, Any]:
        """Return what the emulator knows of a user."""
        return dict(self.get(f"users/{quote(user_id, safe='')}").json())

    def company(self, company_id: str) -> dict[str, Any]:
        """Return what the emulator knows of a company."""
        return dict(self.get(f"companies/{quote(company_id, safe='')}").json())

    def items(self, kind: str | None = None) -> list[bytes]:
        """Return the very bytes of every item that the emulator accepted, in order."""
        found = [re.fullmatch(rb'\{"request":\d+,"type":"([^"]+)","item":(.*)\}', line)
                 for line in self.get("journal").content.splitlines()]  # fmt: skip
        return [match[2] for match in found if match is not None and kind in {None, match[1].decode()}]


@contextmanager
def rehearsal(folder: Path) -> Iterator[Rehearsal]:
    """Start an emulator to rehearse against."""
    with running() as endpoint:
        yield Rehearsal(endpoint, folder)


def promised(*places: str) -> set[Verdict]:
    """Return what `bad_rows.json` promises of some files and tables."""
    return {
        (place, row["row"], row["stage"], (row["code"],)) for place, rows in PROMISED.items() if place in places
        for row in rows
    }  # fmt: skip


def rejected(summary: Summary) -> list[Verdict]:
    """Return what a run rejected, in the words of `promised`."""
    assert summary.dead_letters is not None
    return [_verdict(entry) for entry in dead_letters.read(Path(summary.dead_letters))]


def _verdict(entry: Entry) -> Verdict:
    codes = tuple(reason["code"] for reason in entry.reasons)
    source = Path(entry.origin["source"])
    if source.suffix in {".csv", ".parquet"}:
        return (source.name, entry.origin["row"], entry.stage, codes)
    return (f"warehouse.db {entry.stream}", _row_in_table(entry), entry.stage, codes)


def _row_in_table(entry: Entry) -> int:
    """Find a rejected row in its table: a query numbers the rows that it gives, not those that it reads."""
    columns = ["event_id"] if entry.stream == "events" else ["user_id", "company_id"]
    wanted = " and ".join(f"{column} is ?" for column in columns)
    values = [entry.row[column] for column in columns]
    ((row,),) = warehouse(f"select rowid from {entry.stream} where {wanted}", *values)
    return int(row)


def warehouse(query: str, *values: object) -> list[tuple[Any, ...]]:
    """Query the sample warehouse without the loader."""
    with closing(sqlite3.connect(f"file:{quote(str(SAMPLE_DATA / 'warehouse.db'))}?mode=ro", uri=True)) as connection:
        return connection.execute(query, values).fetchall()
