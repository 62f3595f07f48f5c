"""Drives the real program from outside: starts it, ends it at any moment, and looks at what is left on disk.

The program runs in processes of its own (`Starter`), against an emulator in another. What is read back (ledger, dead
letters, journal) is read here with few lines of our own and not with the program's: a rehearsal trusts neither.
"""

import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, TypeVar

from harm import Harm
from pyarrow import parquet

KEY = "sec_test_0123456789abcdef0123"
REFUSED = "refuse me"  # an attribute's value that the emulator is told to refuse
HERE = Path(__file__).parent
ENDS_S_MAX = 120.0
SEED = int(os.environ.get("BUCKET_LOADER_SEED", "1"))

PIPELINE = """
name: rehearsed
destination: {{base_url: "${{BUCKET_BASE_URL}}", key: "${{BUCKET_SECRET_KEY}}", concurrency: {concurrency},
  chunk: {{records: {chunk}}}, patience: 60s, timeout: 5s}}
streams:
  - name: users
    record: user
    source: {{type: csv, path: users.csv}}
    fields: {{userId: id, attributes: {{note: note}}}}
  - name: companies
    record: company
    source: {{type: csv, path: companies.csv}}
    fields: {{companyId: id, userId: user, attributes: {{note: note}}}}
  - name: events
    record: event
    source: {{type: csv, path: events.csv}}
    key: [id]
    fields: {{userId: user, event: {{value: did}}, attributes: {{id: id, note: note}}}}
"""


# --- processes -----------------------------------------------------------------------------------------------------


class Starter:
    """Starts the program as forks of one process that has imported it (see `zygote`); any thread may ask."""

    def __init__(self, **environment: str) -> None:
        self._lock = threading.Lock()
        # One thread in BLAS: a fork takes no threads along.
        given = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": str(HERE.parents[1]), **environment}
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / "zygote.py")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=given
        )

    def ask(self, **command: Any) -> Any:
        """Return a command, and its answer."""
        with self._lock:
            self._process.stdin.write(json.dumps(command).encode() + b"\n")
            self._process.stdin.flush()
            return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        """End it."""
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


class Processes:
    """Starts the program as a person does; for what is decided when Python starts, such as its hash seed."""

    def __init__(self) -> None:
        self._processes: dict[int, subprocess.Popen[bytes]] = {}

    def ask(self, **command: Any) -> Any:
        """Take the commands of a `Starter`."""
        if "ended" in command:
            return self._processes[command["ended"]].poll() is not None
        if "wait" in command:
            return self._processes.pop(command["wait"]).wait()
        environment = {**command["env"], "PYTHONPATH": str(HERE.parents[1])}
        with Path(command["stdout"]).open("ab") as out, Path(command["stderr"]).open("ab") as err:
            words = [sys.executable, "-m", "bucket_loader", *command["start"]]
            process = subprocess.Popen(words, cwd=command["cwd"], env=environment, stdout=out, stderr=err)
        self._processes[process.pid] = process
        return process.pid


@contextmanager
def starter(**environment):
    """Have a starter for as long as the `with` lasts."""
    it = Starter(**environment)
    try:
        yield it
    finally:
        it.close()


@dataclass
class Child:
    """One process of the program."""

    starter: Starter | Processes
    pid: int
    code: int | None = None

    def ended(self) -> bool:
        """Whether it has ended."""
        return self.code is not None or self.starter.ask(ended=self.pid)

    def send(self, number: int) -> None:
        """Send it a signal; one that has ended does not mind."""
        if self.code is None:
            os.kill(self.pid, number)

    def wait(self, seconds: float = ENDS_S_MAX) -> int:
        """Wait for its end; gives its exit code, or minus the signal that ended it."""
        end = time.monotonic() + seconds
        while not self.ended():
            if time.monotonic() > end:
                self.send(signal.SIGKILL)
                raise AssertionError(f"it did not end in {seconds:g} s")
            time.sleep(0.005)
        if self.code is None:
            self.code = int(self.starter.ask(wait=self.pid))
        return self.code

    def stopped(self) -> bool:
        """Whether it stands still."""
        if self.ended():
            return False
        return Path(f"/proc/{self.pid}/stat").read_text("utf-8").rpartition(") ")[2].startswith("T")

    def kill(self) -> bool:
        """Kill it; gives whether it was still alive."""
        self.send(signal.SIGKILL)
        return self.wait() == -signal.SIGKILL


def tell(*lines: str) -> None:
    """Print a table, for `pytest -s`."""
    sys.stdout.write("\n".join(["", *lines, ""]))


AT_ONCE = 4
Given = TypeVar("Given")
Place = TypeVar("Place")
Found = TypeVar("Found")


def lanes(given: Sequence[Given], places: Sequence[Place], do: Callable[[Given, Place], Found]) -> list[Found]:
    """Do something with each, at several places at once."""

    def lane(which: int) -> list[Found]:
        return [do(one, places[which]) for one in given[which :: len(places)]]

    with ThreadPoolExecutor(len(places)) as threads:
        return [one for found in threads.map(lane, range(len(places))) for one in found]


def often(variable: str, count: int) -> int:
    """Return how often something is rehearsed: as the environment says, else so often."""
    return int(os.environ.get(variable, count))


# --- the emulator, from outside ------------------------------------------------------------------------------------


@dataclass
class Bucket:
    """An emulator, as a rehearsal sees it."""

    url: str

    def __post_init__(self) -> None:
        self._connection = HTTPConnection(urllib.parse.urlsplit(self.url).netloc, timeout=30)

    def call(self, method: str, path: str, body: Any = None) -> bytes:
        """Call it and give the answer's body."""
        data = None if body is None else json.dumps(body).encode()
        self._connection.request(method, f"/_emulator/{path}", data, {"Content-Type": "application/json"})
        with self._connection.getresponse() as response:
            answer = response.read()
        assert response.status == 200, answer
        return answer

    def requests(self) -> int:
        """Tell how many requests of the API it has seen."""
        return int(json.loads(self.call("GET", "state"))["requests"])

    def faults(self, *faults: dict[str, Any], seed: int = 1) -> None:
        """Make things go wrong."""
        self.call("PUT", "faults", {"seed": seed, "faults": list(faults)})

    def journal(self) -> list[dict[str, Any]]:
        """Return every item that it accepted, in order."""
        return [json.loads(line) for line in self.call("GET", "journal").splitlines()]

    def bodies(self) -> set[tuple[bytes, ...]]:
        """Return what the requests that it accepted carried: the bytes of each record, in order."""
        found: dict[bytes, list[bytes]] = {}
        for line in self.call("GET", "journal").splitlines():
            entry = re.fullmatch(rb'\{"request":(\d+),"type":"[^"]+","item":(.*)\}', line)
            found.setdefault(entry[1], []).append(entry[2])
        return set(map(tuple, found.values()))

    def accepted(self) -> Counter[str]:
        """Count how often it accepted each record."""
        return Counter(name_of(entry["item"]) for entry in self.journal())

    def settled(self) -> None:
        """Wait until the requests that a killed program left behind have come to their end."""
        before, now = -1, self.requests()
        while before != now:
            time.sleep(0.05)
            before, now = now, self.requests()

    def reset(self) -> None:
        """Empty it, and order no faults."""
        self.call("POST", "reset")

    def close(self) -> None:
        """Let go of the connection."""
        self._connection.close()


def name_of(item: dict[str, Any]) -> str:
    """Name a record as its row does: `u7`, `c7`, `e7`."""
    if item["type"] == "event":
        return str(item["attributes"]["id"])
    return str(item["userId"] if item["type"] == "user" else item["companyId"])


# --- what is loaded, and what is left on disk ----------------------------------------------------------------------


@dataclass(frozen=True)
class ChunkLeft:
    """A chunk as the ledger on disk knows it, and the names of the records that it carries."""

    run: str
    stream: str
    members: str
    state: str
    attempts: int
    ambiguous: int
    names: tuple[str, ...]


def sequences(members: str) -> list[int]:
    """Read `0-16,18` as the ledger spells it."""
    pieces = [piece.partition("-") for piece in members.split(",")]
    return [number for first, _, last in pieces for number in range(int(first), int(last or first) + 1)]


@dataclass
class Load:
    """A folder with exports and a pipeline of users, companies and events, each with an id `u7`, `c7`, `e7`.

    Attributes:
        folder: where it lies; made here.
        bucket: where it goes.
        starter: what starts it.
        refused: of a hundred rows so many ask to be refused by the emulator (see `REFUSING`).
        environment: beside the address and the key.
        as_of: the moment that runs are given.
    """

    folder: Path
    bucket: Bucket
    starter: Starter | Processes
    users: int = 300
    companies: int = 100
    events: int = 1_600
    chunk: int = 20
    concurrency: int | str = 8
    refused: int = 1
    environment: dict[str, str] = field(default_factory=dict)
    as_of: str = "2026-01-01"

    def __post_init__(self) -> None:
        self._planned: dict[tuple[str, str], list[str]] = {}
        self.folder.mkdir(parents=True, exist_ok=True)
        self.write("pipeline.yaml", PIPELINE.format(concurrency=self.concurrency, chunk=self.chunk))
        note = self._note
        self.write("users.csv", "id,note\n" + "".join(f"u{n},{note(n)}\n" for n in range(self.users)))
        rows = (f"c{n},u{n // 3},{note(n)}\n" for n in range(self.companies))  # three companies share a user
        self.write("companies.csv", "id,user,note\n" + "".join(rows))
        self.write("events.csv", "id,user,note\n" + "".join(f"e{n},u{n % 7},{note(n)}\n" for n in range(self.events)))

    def _note(self, number: int) -> str:
        return REFUSED if (number * 37 + 11) % 100 < self.refused else "fine"

    def write(self, name: str, text: str) -> Path:
        """Write a file of the folder."""
        path = self.folder / name
        path.write_text(text, "utf-8")
        return path

    def everything(self) -> tuple[set[str], set[str]]:
        """Return the names of the good records, and of those that are refused."""
        sizes = {"u": self.users, "c": self.companies, "e": self.events}
        notes = {f"{letter}{n}": self._note(n) for letter, size in sizes.items() for n in range(size)}
        refused = {name for name, note in notes.items() if note == REFUSED}
        return notes.keys() - refused, refused

    # --- running it

    def start(self, *words: str, harm: Harm | None = None) -> Child:
        """Start a command; `run` when none is given. `stdout` holds the last one's words, `stderr` all of them."""
        command, *more = words or ("run",)
        options = ["--json", "--quiet", "--as-of", self.as_of] if command == "run" else ["--json"]
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("BUCKET_", "LD_"))}
        given = {"BUCKET_BASE_URL": self.bucket.url, "BUCKET_SECRET_KEY": KEY}
        (self.folder / "stdout").unlink(missing_ok=True)
        pid = self.starter.ask(
            start=[command, "pipeline.yaml", *more, *options], cwd=str(self.folder), arm=harm and harm.on(self.folder),
            env={**kept, **given, **self.environment}, stdout=str(self.folder / "stdout"),
            stderr=str(self.folder / "stderr"),
        )  # fmt: skip
        return Child(self.starter, pid)

    def run(self, *words: str, harm: Harm | None = None) -> int:
        """Run a command to its end; gives its exit code."""
        return self.start(*words, harm=harm).wait()

    def wait_for_requests(self, more: int, child: Child) -> None:
        """Wait until the emulator has seen so many more requests, or the program has ended."""
        enough = self.bucket.requests() + more
        end = time.monotonic() + 60
        while self.bucket.requests() < enough and not child.ended():
            assert time.monotonic() < end, "no request came"
            time.sleep(0.004)

    def lose_lock(self, _child: Child) -> None:
        """Take the lock away from a run, which goes on."""
        (self.state / "lock").unlink(missing_ok=True)

    def keep_told(self) -> Path:
        """Put what the last command says where the next does not write; gives where."""
        return (self.folder / "stdout").rename(self.folder / "stdout.before")

    # --- looking at what is left

    def calls(self) -> list[str]:
        """Get the system calls of the last command that was started with a `Harm`: `number name file offset size`."""
        path = self.folder.with_name(self.folder.name + ".calls")
        return path.read_text("utf-8", "replace").splitlines() if path.exists() else []

    def told(self) -> dict[str, Any]:
        """Return the JSON object that the last command printed."""
        return dict(json.loads((self.folder / "stdout").read_text("utf-8").splitlines()[-1]))

    def stderr(self) -> str:
        """Return what all commands said."""
        path = self.folder / "stderr"
        return path.read_text("utf-8") if path.exists() else ""

    @property
    def state(self) -> Path | None:
        """The folder of the state, once it is there."""
        return next((path.parent for path in self.folder.glob(".bucket_loader/*/ledger.db")), None)

    def asked(self, query: str) -> list[tuple[Any, ...]]:
        """Ask a copy of the ledger: opening the ledger itself would already begin to recover it."""
        if self.state is None or not (self.state / "ledger.db").exists():
            return []
        with tempfile.TemporaryDirectory() as place:
            for path in self.state.glob("ledger.db*"):
                if not path.name.endswith("-shm"):
                    shutil.copy(path, place)
            with closing(sqlite3.connect(Path(place) / "ledger.db")) as connection:
                if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'chunk'").fetchone():
                    return []
                return connection.execute(query).fetchall()

    def chunks(self) -> list[ChunkLeft]:
        """Return every chunk of every run that the ledger knows."""
        rows = self.asked(
            "SELECT c.run, s.name, c.members, c.state, c.attempts, c.ambiguous FROM chunk c "
            "JOIN stream s ON s.run = c.run AND s.position = c.stream"
        )
        found = []
        for run, stream, members, *rest in rows:
            names = self.planned(run, stream)
            found.append(ChunkLeft(run, stream, members, *rest, tuple(names[n] for n in sequences(members))))
        return found

    def planned(self, run: str, stream: str) -> list[str]:
        """Return the names of a planned stream's records, by sequence."""
        if (run, stream) not in self._planned:
            file = next(self.state.glob(f"plans/{run}/*-{stream}.parquet"), None)
            assert file is not None, f"the ledger knows run {run}, and its plan is gone"
            records = parquet.read_table(file, columns=["record"], use_threads=False)["record"].to_pylist()
            self._planned[run, stream] = [name_of(json.loads(record)) for record in records]
        return self._planned[run, stream]

    def runs(self) -> list[tuple[str, str]]:
        """Return every run that the ledger knows, oldest first, and its status."""
        return self.asked("SELECT run, status FROM run ORDER BY number")

    def letters(self) -> list[dict[str, Any]]:
        """Return every whole line of the dead letters."""
        found = []
        for path in sorted(self.folder.glob(".bucket_loader/*/dead_letters/*.jsonl")):
            for line in path.read_text("utf-8").splitlines():
                try:
                    found.append(json.loads(line))
                except ValueError:  # a crash cut it
                    continue
        return found


REFUSING = {"kind": "poison", "match": REFUSED, "status": 400}
SLOW = {"kind": "latency", "seconds": 0.3, "rate": 0.02}
UNSURE = {"kind": "cut_after", "rate": 0.02}
FAILING = {"kind": "status", "status": 500, "rate": 0.05}
FAULTS = (SLOW, FAILING, REFUSING, UNSURE)  # in this order: a row that is refused is never applied by a cut


@contextmanager
def bucket(url: str):
    """Talk to an emulator for as long as the `with` lasts; it is emptied first."""
    it = Bucket(url)
    try:
        it.reset()
        yield it
    finally:
        it.close()
