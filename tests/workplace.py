"""What tests stand in: a folder with exports and a pipeline file, the command line, and an emulator to look into."""

import json
import textwrap
import threading
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import ThreadingHTTPServer
from pathlib import Path

from click.testing import CliRunner

from bucket_loader.cli.commands import main

KEY = "sec_test_0123456789abcdef0123"

COMPANIES = """
- name: companies
  record: company
  source: {type: csv, path: accounts.csv}
  fields:
    companyId: id
    attributes: "*"
"""
EVENTS = """
- name: events
  record: event
  key: [id]
  source: {type: csv, path: events.csv}
  fields: {userId: id, event: {value: seen}, timestamp: {column: at, type: timestamp, timezone: UTC}}
"""


@contextmanager
def served_by(handler):
    """Let a handler answer for as long as the `with` lasts; gives the address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@dataclass(frozen=True)
class Emulator:
    """What tests ask of an emulator."""

    url: str

    def call(self, method, path, body=None):
        """Call it and give the answer's text."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"Content-Type": "application/json"}, method=method)  # noqa: S310
        with urllib.request.urlopen(request) as answer:  # noqa: S310
            return answer.read().decode()

    def load(self, items, key):
        """Send items to /bulk."""
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {key}"}
        request = urllib.request.Request(f"{self.url}/bulk", json.dumps(items).encode(), headers)  # noqa: S310
        urllib.request.urlopen(request).close()  # noqa: S310

    def state(self):
        """Return its counts."""
        return json.loads(self.call("GET", "/_emulator/state"))

    def journal(self):
        """Return every item that it accepted, in order."""
        return [json.loads(line) for line in self.call("GET", "/_emulator/journal").splitlines()]

    def faults(self, *faults, seed=1):
        """Make things go wrong."""
        self.call("PUT", "/_emulator/faults", {"seed": seed, "faults": list(faults)})


@dataclass
class Result:
    """What a command did."""

    exit_code: int
    stdout: str
    stderr: str
    exception: BaseException | None

    @property
    def summary(self):
        """The JSON object on the last line of stdout."""
        return json.loads(self.stdout.splitlines()[-1])


@dataclass
class Workplace:
    """A folder with exports and a pipeline file, and the command line standing in it."""

    folder: Path
    url: str
    key: str = KEY

    def write(self, name, content):
        """Write an export."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else textwrap.dedent(content).lstrip().encode())
        return path

    def events(self, count):
        """Write the export that `EVENTS` loads, of so many rows."""
        return self.write("events.csv", "id,at\n" + "".join(f"{n},2026-01-01 10:00:00\n" for n in range(count)))

    def pipeline(self, streams, *, head="", name="test"):
        """Write a pipeline file of these streams (YAML), `head` going before them."""
        text = (
            f"name: {name}\n"
            "destination:\n  base_url: ${BUCKET_BASE_URL}\n  key: ${BUCKET_SECRET_KEY}\n  patience: 1s\n"
            + textwrap.dedent(head)
            + "streams:\n"
            + textwrap.indent(textwrap.dedent(streams).lstrip("\n"), "  ")
        )
        return self.write("pipeline.yaml", text)

    def command(self, *words, **variables):
        """Run a command in the folder; the pipeline file is put after the command's name."""
        return self.command_of(words[0], str(self.folder / "pipeline.yaml"), *words[1:], **variables)

    def command_of(self, *words, **variables):
        """Run a command of these very words."""
        environment = {"BUCKET_BASE_URL": self.url, "BUCKET_SECRET_KEY": self.key, "COLUMNS": "200"} | variables
        result = CliRunner().invoke(main, list(words), env=environment)
        unexpected = None if isinstance(result.exception, SystemExit) else result.exception
        return Result(result.exit_code, result.stdout, result.stderr, unexpected)

    def run(self, *words, **variables):
        """Run the pipeline, for its summary."""
        return self.command("run", "--json", *words, **variables)

    def dead_letters(self, result):
        """Return a run's dead letters."""
        path = result.summary["dead_letters"]
        return [json.loads(line) for line in Path(path).read_text("utf-8").splitlines()] if path else []
