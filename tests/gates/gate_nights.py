"""A night of the shop: its exports on disk, the careful pipeline, and what a run came to."""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import gate_shop as shop
import pandas as pd
from workplace import KEY, Workplace

from bucket_loader import BucketLoaderError, load

PIPELINE = Path(__file__).with_name("pipeline.yaml")
SCORES = {
    "record": "company",
    "fields": {"companyId": "account_id", "attributes": {"health": "health", "segment": "segment"}},
    "limits": {
        "rejected": "1%",
        "changed": "50%",
        "superseded": "5%",
        "rows": {"drop": "25%", "growth": "60%"},
        "fresh": {"column": "scored_at", "within": "26h"},
        "null": {"health": "5%"},
    },
}
FILES = {"accounts": "accounts.csv", "people": "people.parquet", "usage": "usage.jsonl"}
READING = "reading"
"""Stands in place of a gate where the source itself is refused."""
NAMED = {"empty": "its source is empty", "removed": "known records are gone from the source"}
"""How a message names a gate that is no word of `limits:`."""


def same(what):
    """Change nothing."""
    return what


def named(old, new):
    """Give a stream, or the pipeline, another name."""
    return lambda text: text.replace(f"name: {old}\n", f"name: {new}\n")


def without_limits(text):
    """Leave out every `limits:` of the pipeline file."""
    return re.sub(r"(?m)^( *)limits:\n(\1 +.*\n)+", "", text)


@dataclass(frozen=True)
class Case:
    """A night that differs from an ordinary one in one thing.

    Attributes:
        says: what is unusual, as a sentence about the exports.
        stream: the stream that reads it.
        table: the table that differs; the one of the stream's name when it is not said.
        rows: makes other rows of the table's ordinary rows.
        content: makes another file of the file that was written.
        gate: the gate that a person expects to stop it; several, with `|`, where each of them could be the first.
        words: options of the run.
        after: the nights that came between this one and the last ordinary one.
        pipeline: makes another pipeline file.
        rejects: whether some rows are rejected, so that a run which goes through ends with 3.
    """

    says: str
    stream: str
    table: str = ""
    rows: Callable = same
    content: Callable = same
    gate: str = ""
    words: Sequence[str] = ()
    after: "Sequence[Case]" = ()
    pipeline: Callable = same
    rejects: bool = False


@dataclass
class Recorder:
    """A server that takes everything, and remembers that it was asked.

    Attributes:
        requests: the items of each request.
        status: what it answers.
    """

    requests: list = field(default_factory=list)
    status: int = 200

    @property
    def handler(self):
        """Return the class that answers for it."""
        recorder = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                recorder.requests.append(json.loads(body))
                self.send_response(recorder.status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", "16")
                self.end_headers()
                self.wfile.write(b'{"success":true}')

            def log_message(self, *_):
                pass

        return Handler


class Night(Workplace):
    """The folder of a shop, on one night after another."""

    day = 1

    def export(self, table=None, rows=same, content=same, *, alone=False):
        """Write what a day exports, one table in another way; that table alone, where one stream alone is run."""
        for name in [table] if alone else shop.TABLES:
            found = shop.TABLES[name](self.day)
            self.put(name, rows(found) if name == table else found)
        if table == "scores":
            self.scores = content(self.scores)
        elif table in FILES:
            file = self.folder / FILES[table]
            file.write_bytes(content(file.read_bytes()))

    def put(self, name, rows):
        """Write one table."""
        columns = list(rows[0]) if rows else shop.COLUMNS[name]
        match name:
            case "accounts":
                self.write("accounts.csv", shop.csv_of(rows, columns))
            case "people":
                self.write("people.parquet", shop.parquet_of(rows, columns))
            case "usage":
                self.write("usage.jsonl", shop.jsonl_of(rows))
            case "scores":
                self.scores = pd.DataFrame(rows, columns=columns)
            case "clicks":
                self.write(f"clicks/{self.day}.csv", shop.csv_of(rows, columns)) if rows else None
            case _:
                shop.fill(self.folder / "billing.db", name, rows, columns)

    def live(self, case):
        """Let the nights of a case pass; return how the last of them ended."""
        for earlier in case.after:
            self.live(earlier)
        self.write("pipeline.yaml", case.pipeline(PIPELINE.read_text("utf-8")).encode())
        table = case.table or case.stream
        self.export(table, case.rows, case.content, alone=bool(case.stream) and table in shop.TABLES)
        return self.load(*case.words, stream=case.stream)

    def load(self, *words, stream=None):
        """Run the pipeline, or one stream of it."""
        if stream == "scores":
            return self.load_scores(accept_changes="--accept-changes" in words)
        chosen = ("--stream", stream) if stream else ()
        result = self.run("--as-of", shop.text(shop.as_of(self.day)), *chosen, *words)
        assert result.exception is None, result.exception
        error = result.summary.get("error", {}) if result.stdout else {"message": result.stderr}
        return Ended.of(result.exit_code, error, result.stderr + result.stdout)

    def load_scores(self, *, accept_changes):
        """Load the frame, as a notebook does."""
        try:
            summary = load(
                self.scores,
                name="scores",
                destination={"base_url": self.url, "key": KEY},
                as_of=shop.as_of(self.day),
                state=str(self.folder / ".bucket_loader"),
                accept_changes=accept_changes,
                **SCORES,
            )
        except BucketLoaderError as error:
            return Ended(error.exit_code, error.message, error.hint, str(error))
        return Ended.of(summary.exit_code, summary.as_json().get("error", {}), str(summary.as_json()))


@dataclass(frozen=True)
class Ended:
    """How a run ended, and all that it said.

    Attributes:
        gates: the gates that stopped it, as `--json` has them.
    """

    exit_code: int
    message: str
    hint: str
    said: str
    gates: Sequence[str] = ()

    @classmethod
    def of(cls, exit_code, error, said):
        """Read the `error` of a summary."""
        gates = [one["gate"] for one in error.get("gates", ())]
        return cls(exit_code, error.get("message", ""), error.get("hint", ""), said, gates)

    def names(self, gate):
        """Whether the gate, or one of several, has stopped the run, and the message names it."""
        return any(one in self.gates and NAMED.get(one, f"{one}: ") in self.message for one in gate.split("|"))
