"""A place to deliver from: plans of events, users or companies, an emulator or a stub to send them to."""

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pyarrow as pa

from bucket_loader.config.yaml_file import pipeline_from
from bucket_loader.reporting.summary import Summary
from bucket_loader.reporting.text import on_stderr
from bucket_loader.runs.job import Job, RunOptions
from bucket_loader.runs.run import run_job
from bucket_loader.state import dead_letters
from bucket_loader.state.ledger import ChunkRow

AS_OF = datetime(2026, 1, 1, tzinfo=UTC)
KEY = "sec_test_0123456789abcdef0123"
Judge = Callable[[list[dict[str, Any]]], tuple[int, dict[str, Any]] | None]


def events(count: int, **more: Any) -> dict[str, Any]:
    """Return a stream of so many events, each with an id of its own."""
    numbers = range(count)
    frame = pa.table({"id": [f"e{number}" for number in numbers], "user": [f"u{number % 7}" for number in numbers]})
    return {
        "name": "events", "record": "event", "source": {"type": "frame", "frame": frame}, "key": ["id"],
        "fields": {"userId": "user", "event": {"value": "did"}, "attributes": {"id": "id"}}, **more,
    }  # fmt: skip


def users(count: int) -> dict[str, Any]:
    """Return a stream of so many users."""
    frame = pa.table({"id": [f"e{number}" for number in range(count)]})
    return {"name": "users", "record": "user", "source": {"type": "frame", "frame": frame},
            "fields": {"userId": "id", "attributes": {"id": "id"}}}  # fmt: skip


def companies(pairs: list[tuple[str, str]]) -> dict[str, Any]:
    """Return a stream of companies, each with a user, and the row's number as an attribute."""
    frame = pa.table({"company": [company for company, _ in pairs], "user": [user for _, user in pairs],
                      "n": list(range(len(pairs)))})  # fmt: skip
    return {"name": "companies", "record": "company", "source": {"type": "frame", "frame": frame},
            "fields": {"companyId": "company", "userId": "user", "attributes": {"n": "n"}}}  # fmt: skip


def id_of(record: dict[str, Any]) -> str:
    """Return the id that a record of `events` or `users` carries."""
    return str(record["attributes"]["id"])


@dataclass
class Bench:
    """Runs pipelines with one state."""

    folder: Path
    url: str
    key: str = KEY
    summaries: list[Summary] = field(default_factory=list)

    def job(self, *streams: dict[str, Any], **destination: Any) -> Job:
        """Make a job."""
        given = {"base_url": self.url, "key": self.key, "patience": "30s", "timeout": "5s", **destination}
        pipeline = pipeline_from({"name": "test", "destination": given, "arrays": "keep", "streams": list(streams)})
        options = RunOptions(state=self.folder / "state", as_of=AS_OF)
        return Job(pipeline, self.folder, options, on_stderr(quiet=True))

    def run(self, *streams: dict[str, Any], **destination: Any) -> Summary:
        """Run once; whatever happens every row is accounted for."""
        summary = run_job(self.job(*streams, **destination))
        for counts in [*summary.streams.values(), *(c for one in summary.resumed for c in one.streams.values())]:
            assert counts.conserved()
        self.summaries.append(summary)
        return summary

    def chunks(self, stream: int = 0) -> list[ChunkRow]:
        """Return every chunk of all runs, as the ledger knows them."""
        states = ("queued", "intent", "delivered", "rejected", "split", "held", "dropped")
        with closing(self.job(events(1)).open_state()) as state:
            return [row for one in state.ledger.runs() for row in state.ledger.chunks(one.run, stream, *states)]

    def doubtful(self) -> dict[int, int]:
        """Return the sequences that the ledger names as possibly applied more than once, and how much oftener."""
        rows = [row for row in self.chunks() if row.ambiguous and row.state != "split"]
        return {sequence: row.ambiguous for row in rows for sequence in row.sequences}

    def letters(self) -> list[dead_letters.Entry]:
        """Return the dead letters of the last run."""
        path = self.summaries[-1].dead_letters
        return list(dead_letters.read(Path(path))) if path else []


def accepted(emulator: Any) -> Counter[str]:
    """Count how often each record arrived at an emulator."""
    return Counter(id_of(entry["item"]) for entry in emulator.journal())


@dataclass
class StubBucket:
    """Bucket in a few lines: accepts a body unless `judge` has an answer to it.

    Attributes:
        judge: gives status and answer of a request that is not simply accepted; called under a lock.
        accepted: the records taken, in order.
        bodies: every body that came, in order.
        overlaps: ids that two requests carried at the same time.
        delay_s: how long a request is in the works.
        hangs: called while a request is in the works, without the lock: it may take its time.
        closes: tells whether the connection ends with the answer; each connection has a thread of its own.
    """

    judge: Judge = lambda _records: None
    delay_s: float = 0.0
    hangs: Callable[[list[dict[str, Any]]], object] = lambda _records: None
    closes: Callable[[], bool] = lambda: False
    accepted: list[dict[str, Any]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    overlaps: list[set[str]] = field(default_factory=list)
    told: Callable[[str, bytes], None] = lambda _what, _body: None
    url: str = ""

    def __post_init__(self) -> None:
        self.lock = threading.Lock()
        self._in_flight: list[set[str]] = []
        self._pause = threading.Event()

    def answer(self, body: bytes) -> tuple[int, dict[str, Any]]:
        """Take or refuse a body."""
        records = json.loads(body)
        ids = {f"{name} {record[name]}" for record in records for name in ("userId", "companyId") if name in record}
        with self.lock:
            self.told("request", body)
            self.bodies.append(body)
            self.overlaps += [ids & other for other in self._in_flight if ids & other]
            self._in_flight.append(ids)
        self._pause.wait(self.delay_s)
        self.hangs(records)
        with self.lock:
            self._in_flight.remove(ids)
            judged = self.judge(records)
            if judged is None:
                self.accepted += records
        return judged or (200, {"success": True})

    def ids(self) -> Counter[str]:
        """Count how often each record was taken."""
        return Counter(map(id_of, self.accepted))


@contextmanager
def stub(**options: Any) -> Iterator[StubBucket]:
    """Run a stub for as long as the `with` lasts."""
    bucket = StubBucket(**options)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            """Answer."""
            status, answer = bucket.answer(self.rfile.read(int(self.headers["Content-Length"])))
            data = json.dumps(answer).encode()
            with suppress(OSError):  # a test may have had enough
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)
            self.close_connection = bucket.closes()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 64

    server = Server(("127.0.0.1", 0), Handler)
    bucket.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield bucket
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def refusal(*places: str, status: int = 400) -> tuple[int, dict[str, Any]]:
    """Refuse, and name places."""
    mistakes = [{"message": place} for place in places]
    return status, {"success": False, "error": {"code": "X", "message": "no", "validationErrors": mistakes}}
