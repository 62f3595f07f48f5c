"""The command line in a process of its own, to be killed."""

import json
import os
import sqlite3
import subprocess
import sys
import time
import urllib.request
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

from bucket_loader.pipeline_file import load_pipeline
from bucket_loader.records import read_ranges
from bucket_loader.state import open_state

PIPELINE = """
name: killed
destination: {{base_url: "${{BUCKET_BASE_URL}}", key: "${{BUCKET_SECRET_KEY}}", concurrency: {concurrency},
  chunk: {{records: 20}}, patience: 60s, timeout: 5s}}
streams:
  - name: events
    record: event
    source: {{type: csv, path: events.csv}}
    key: [id]
    fields: {{userId: user, event: {{value: did}}, attributes: {{id: id}}}}
  - name: users
    record: user
    source: {{type: csv, path: users.csv}}
    fields: {{userId: id, attributes: {{id: id}}}}
"""


@dataclass
class Loading:
    """A pipeline of events and users in a folder, loaded by the command line."""

    folder: Path
    url: str
    key: str
    events: int = 3_000
    users: int = 1_000
    concurrency: int | str = 8
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "pipeline.yaml").write_text(PIPELINE.format(concurrency=self.concurrency), "utf-8")
        rows = [f"e{number},u{number % 7}" for number in range(self.events)]
        (self.folder / "events.csv").write_text("\n".join(["id,user", *rows, ""]), "utf-8")
        (self.folder / "users.csv").write_text("\n".join(["id", *(f"u{n}" for n in range(self.users)), ""]), "utf-8")

    def start(self) -> "subprocess.Popen[bytes]":
        """Start a run."""
        given = {"BUCKET_BASE_URL": self.url, "BUCKET_SECRET_KEY": self.key, **self.environment}
        kept = {name: value for name, value in os.environ.items() if not name.startswith("BUCKET_")}
        with (self.folder / "stdout").open("wb") as out, (self.folder / "stderr").open("ab") as err:
            return subprocess.Popen(
                [sys.executable, "-m", "bucket_loader", "run", "pipeline.yaml", "--json", "--quiet",
                 "--as-of", "2026-01-01"],
                cwd=self.folder, env=kept | given, stdout=out, stderr=err,
            )  # fmt: skip

    def wait(self, process: "subprocess.Popen[bytes]") -> int:
        """Wait for a run to end."""
        return process.wait(120)

    def summary(self) -> dict[str, object]:
        """Give what the last run printed."""
        found: dict[str, object] = json.loads((self.folder / "stdout").read_text("utf-8").splitlines()[-1])
        return found

    def stderr(self) -> str:
        """Give what all runs said."""
        return (self.folder / "stderr").read_text("utf-8")

    def intents(self) -> int:
        """Count the chunks that were in flight when the last run was killed, before anybody recovers them."""
        found = 0
        for path in self.folder.glob(".bucket_loader/*/ledger.db"):
            with closing(sqlite3.connect(path)) as connection, suppress(sqlite3.OperationalError):  # no table yet
                found += connection.execute("SELECT count(*) FROM chunk WHERE state = 'intent'").fetchone()[0]
        return found

    def doubtful(self) -> dict[str, int]:
        """Give the records that the ledger names as possibly applied more than once, and how much oftener."""
        pipeline = load_pipeline(
            self.folder / "pipeline.yaml", variables={"BUCKET_BASE_URL": self.url, "BUCKET_SECRET_KEY": self.key}
        )
        found: dict[str, int] = {}
        with closing(open_state(pipeline, self.folder / ".bucket_loader")) as state:
            for run in state.ledger.runs():
                for position, letter in enumerate("ue"):  # users are delivered first
                    for row in state.ledger.chunks(run.run, position, "delivered", "queued", "intent", "rejected"):
                        for sequence in read_ranges(row.members) if row.ambiguous else ():
                            name = f"{letter}{sequence}"
                            found[name] = found.get(name, 0) + row.ambiguous
        return found


def requests_seen(url: str) -> int:
    """Tell how many requests an emulator has seen."""
    with urllib.request.urlopen(f"{url}/_emulator/state") as answer:  # noqa: S310  # our own emulator, on loopback
        return int(json.load(answer)["requests"])


def wait_for_requests(url: str, more_than: int, process: "subprocess.Popen[bytes]") -> None:
    """Wait until an emulator has seen more requests than so many, or the process has ended."""
    end = time.monotonic() + 60
    while requests_seen(url) <= more_than and process.poll() is None:
        assert time.monotonic() < end, "no request came"
        time.sleep(0.02)
