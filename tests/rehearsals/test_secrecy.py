"""Planted canaries: no key and no value of a row leaves by a log, a message, a summary, the ledger or the process list.

Dead letters and plans may hold rows; they are the owner's alone, and never hold the key.
"""

import json
import os
import re
import select
import signal
import ssl
import stat
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote

import pytest
import servers

pytestmark = pytest.mark.rehearsal
KEY = "sec_canary_key_5f1d0c7e"
PASSWORD = "pw-canary-77aa01"  # noqa: S105  # the canary
ROOT = Path(__file__).parents[2]
TOLD = "told.jsonl"
HOOK = "hook-canary-31d7"  # the path of the webhook that is told how every run ended
VALUE = "val-canary"  # in every cell of every row
OF_THE_SERVER = {servers.PASSWORD, quote(servers.PASSWORD, safe="")}  # of the state's, where that lies on one
EVERY = re.compile("|".join([KEY, PASSWORD, HOOK, VALUE, *map(re.escape, OF_THE_SERVER)]).encode(), re.IGNORECASE)

PIPELINE = """
name: secret
destination: {{base_url: "${{BUCKET_BASE_URL}}", key: "${{BUCKET_SECRET_KEY}}", concurrency: 2, chunk: {{records: 3}},
  timeout: 1s{more}}}
notify: {{webhook: "${{HOOK}}"}}
streams:
  - name: things
    record: {record}
    source: {source}
    fields: {fields}{stream}
"""
SOURCE = "{type: csv, path: things.csv}"
FIELDS = "{userId: id, attributes: {note: note, at: {column: at}}}"
TYPED = (
    "{userId: id, attributes: {note: {column: note, type: integer}, at: {column: at, type: timestamp, timezone: UTC}}}"
)


def quoting(body):
    """Quote what was sent, as validators do: the value, the row, the key."""
    record = json.loads(body)[0]
    text = f"{record['userId']} is not allowed: {json.dumps(record)}, for {KEY}"
    mistakes = [{"message": f"[0].attributes: {text}"}]
    return {
        "success": False,
        "error": {"code": "BODY_VALIDATION_FAILED", "message": text, "validationErrors": mistakes},
    }


def status(number, **headers):
    """Answer with a status, quoting the row and the key."""
    return lambda body: (number, json.dumps(quoting(body)).encode(), headers)


def html(body):
    """Answer with a page that quotes the row and the key."""
    return 200, b"<html>" + body + KEY.encode() + b"</html>", {"Content-Type": "text/html"}


def repeated(body):
    """Answer with JSON that is none, with the row and the key in it."""
    return 200, b'{"success": true' + body + KEY.encode(), {}


@contextmanager
def serving(answer, *, delay_s=0.0, certificate=None):
    """Serve for as long as the `with` lasts; gives the address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            time.sleep(delay_s)
            code, data, headers = answer(body)
            try:
                self.send_response(code)
                for name, value in {"Content-Type": "application/json", **headers}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)
            except OSError:  # it had enough
                pass

        def log_message(self, *_):
            """Say nothing."""

        def handle_one_request(self):
            try:
                super().handle_one_request()
            except OSError:
                self.close_connection = True

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_):
            """Say nothing."""

    server = Quiet(("127.0.0.1", 0), Handler)
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http{'s' if certificate else ''}://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass
class Place:
    """A folder whose every row and key is a canary."""

    folder: Path
    forks: object
    hook: str
    record: str = "user"
    source: str = SOURCE
    fields: str = FIELDS
    more: str = ""
    stream: str = ""
    rows: int = 9
    environment: dict = field(default_factory=dict)

    def __post_init__(self):
        self.folder.mkdir()
        self.describe()
        self.write([f"{VALUE}-id{n},{VALUE}-note{n},{VALUE}-at{n}" for n in range(self.rows)])

    def describe(self):
        """Write the pipeline file."""
        text = PIPELINE.format(
            record=self.record, source=self.source, fields=self.fields, more=self.more, stream=self.stream
        )
        (self.folder / "pipeline.yaml").write_text(text, "utf-8")

    def write(self, rows, header="id,note,at"):
        """Write the export."""
        (self.folder / "things.csv").write_text("\n".join([header, *rows, ""]), "utf-8")

    @property
    def holding(self):
        """The folders that hold rows on purpose."""
        asked_for = {"snapshots"} if "remember: values" in self.stream else set()
        return {"plans", "dead_letters", "checked"} | asked_for

    def variables(self, url):
        """Return what a command there is given."""
        return {"BUCKET_BASE_URL": url, "BUCKET_SECRET_KEY": KEY, "HOOK": self.hook, **self.environment}

    def told(self):
        """Return what the webhook was told, in order."""
        file = self.folder / TOLD
        return [json.loads(line) for line in file.read_text("utf-8").splitlines()] if file.exists() else []

    def command(self, url, *words, meanwhile=None, stderr=None, as_json=True):
        """Run a command; `meanwhile` is given its process."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("BUCKET_")}
        pid = self.forks.ask(
            start=[words[0], "pipeline.yaml", *words[1:], *(["--json"] if as_json else [])], cwd=str(self.folder),
            env={**kept, **self.variables(url)}, stdout=str(self.folder / "stdout"),
            stderr=stderr or str(self.folder / "stderr"),
        )  # fmt: skip
        if meanwhile:
            meanwhile(pid)
        return self.forks.ask(wait=pid)

    def leaks(self):
        """Get every canary outside the exports, the pipeline and what holds rows on purpose, and every key in any."""
        found = []
        for path in sorted(self.folder.rglob("*")):
            if not path.is_file() or path.name in {"things.csv", "pipeline.yaml", "cert.pem"}:
                continue
            holds_rows = self.holding & set(path.relative_to(self.folder).parts)
            is_open = stat.S_IMODE(path.stat().st_mode) != 0o600
            if is_open and ("snapshots" in holds_rows or (holds_rows and path.suffix == ".jsonl")):
                found.append(f"{path.name}: mode {stat.S_IMODE(path.stat().st_mode):o}")
            for match in EVERY.finditer(path.read_bytes()):
                if not holds_rows or VALUE.encode() not in match[0].lower():
                    data = path.read_bytes()
                    found.append(f"{path.name}: {data[max(0, match.start() - 60) : match.end() + 20]!r}")
        return found[:5]


@pytest.fixture
def place(tmp_path, forks):
    """Make places full of canaries; what their webhook is told is a file in them."""
    here = tmp_path / "here"

    def keep(body):
        with (here / TOLD).open("ab") as file:
            file.write(body + b"\n")
        return 200, b"ok", {}

    with serving(keep) as hook:
        yield lambda **options: Place(here, forks, f"{hook}/{HOOK}", **options)


ANSWERS = {
    "400": (status(400), 4), "401": (status(401), 5), "403": (status(403), 5), "404": (status(404), 5),
    "413": (status(413), 4), "422": (status(422), 4), "429": (status(429, **{"Retry-After": "0"}), 75),
    "500": (status(500), 75), "503": (status(503), 75), "408": (status(408), 75),
    "204": (status(299), 75), "success-false": (status(200), 4), "html": (html, 5), "not-json": (repeated, 75),
    "redirect": (lambda body: (307, body, {"Location": f"http://127.0.0.1:1/?key={KEY}"}), 5),
}  # fmt: skip
"""What a server says to every request, quoting the row and the key, and the exit code of the run."""


@pytest.mark.parametrize("answer", ANSWERS)
def test_an_answer_that_quotes_the_row_and_the_key_stays_out_of_every_message(place, answer):
    """Refused, redirected, throttled or broken: the server's words go to the dead letters alone, without the key."""
    judged, expected = ANSWERS[answer]
    here = place(rows=60 if expected == 4 else 9)
    with serving(judged) as url:
        code = here.command(url, "run", "--patience", "1s")
        here.command(url, "status")

    assert code == expected, (here.folder / "stderr").read_text()
    assert [one["exit_code"] for one in here.told()] == [expected]
    assert here.leaks() == []


@pytest.mark.parametrize("answer", ["400", "401", "429", "500", "html", "redirect"])
def test_json_logs_hold_objects_alone_and_no_words_of_the_server(place, answer):
    """The same in objects: with retries told one by one, bad rows by their numbers, and `plan --show` without a row."""
    judged, expected = ANSWERS[answer]
    here = place(rows=60 if expected == 4 else 9, environment={"BUCKET_LOADER_LOG_FORMAT": "json"})
    with serving(judged) as url:
        code = here.command(url, "run", "--patience", "1s")
        for words in (("status",), ("plan", "--show", "5"), ("check",), ("run", f"--{KEY}")):
            here.command(url, *words)

    told = [json.loads(line) for line in (here.folder / "stderr").read_text().splitlines()]
    assert code == expected
    assert "retry" in {one["event"] for one in told} or answer not in {"429", "500"}
    assert here.leaks() == []


def test_a_library_that_logs_rows_and_keys_leaks_nothing_into_json_logs(place):
    """Every library at DEBUG, and one that repeats what it was given: of it only its own words come out."""
    here = place()
    code = (
        "import logging, sys, warnings; logging.getLogger().setLevel(1); "
        f"from bucket_loader.runs import run; send = run.deliver_run; "
        f"run.deliver_run = lambda *a: (logging.getLogger('x').error('row %s', '{VALUE}'), "
        f"logging.getLogger('x').error('with {KEY}'), warnings.warn('with {KEY}'), send(*a))[-1]; "
        "from bucket_loader.cli import main; main(['run', 'pipeline.yaml', '--log-format', 'json'])"
    )
    with serving(lambda _: (200, b'{"success": true}', {})) as url, (here.folder / "stderr").open("wb") as err:
        environment = {**os.environ, **here.variables(url), "PYTHONPATH": str(ROOT)}
        subprocess.run([sys.executable, "-c", code], cwd=here.folder, env=environment, stderr=err, check=True)

    told = [json.loads(line) for line in (here.folder / "stderr").read_text().splitlines()]
    assert [one["message"] for one in told if one.get("logger") == "x"] == ["row %s", "with ***"]
    assert "py.warnings" in {one.get("logger") for one in told}
    assert here.leaks() == []


def test_what_is_held_is_told_without_the_words_of_the_server(place):
    """An unknown that is held is named by its chunk; the answer that made it one is not repeated."""
    here = place(record="event", fields="{userId: id, event: note, timestamp: {value: '2026-01-01T00:00:00Z'}}",
                 stream="\n    on_unknown: hold\n    key: [id]")  # fmt: skip
    with serving(status(500)) as url:
        code = here.command(url, "run")

    assert code == 75, (here.folder / "stderr").read_text()
    assert here.leaks() == []


def test_a_terminal_shows_no_words_of_the_server(place):
    """The bar of a run that waits out an outage says what it waits for, not what the server said of a row."""
    here, (master, slave) = place(), os.openpty()
    shown = bytearray()

    def look(pid):
        while not here.forks.ask(ended=pid):
            if select.select([master], [], [], 0.1)[0]:
                shown.extend(os.read(master, 65_536))

    with serving(status(500)) as url:
        here.environment = {"TERM": "xterm-256color", "COLUMNS": "300"}
        here.command(url, "run", "--patience", "2s", meanwhile=look, stderr=os.ttyname(slave))
    os.close(master)
    os.close(slave)

    assert b"things" in shown
    assert not EVERY.findall(bytes(shown))


def test_bad_rows_are_told_without_their_values(place):
    """Rows that the mapping rejects are counted and named by number; `check` and `plan` say no more."""
    here = place(fields=TYPED)
    with serving(status(200)) as url:
        codes = [here.command(url, word) for word in ("check", "plan", "run")]

    assert codes[1:] == [0, 3]
    assert here.leaks() == []


TABLES = ("runs", "streams", "chunks", "attempts", "rejections")
HISTORY = " union all ".join(f"select '{name}' as of, cast({name} as varchar) as row from {name}" for name in TABLES)
LOOKS = [
    ("status",),
    ("status", "latest"),
    ("audit", "latest"),
    ("audit", "--memory"),
    ("report", "-o", "latest.html"),
    ("explain", "--user", "nobody"),
    ("history",),
    ("history", "--sql", HISTORY),
    ("history", "--sql", HISTORY, "--format", "csv"),
    ("plan",),
    ("plan", "--diff", "--rows", "0"),
    ("run", "--accept-changes", "--report", "run.html", "--metrics", "run.prom"),
]
"""Whatever looks at what was, in each of its forms; none of it was asked for a row."""

REACHES = [
    "select cast(message as integer) from rejections",
    "select error(message) from rejections",
    "from read_text('things.csv')",
    "from read_text('.bucket_loader/*/dead_letters/*.jsonl')",
]
"""Queries that would reach more than the tables, or whose error quotes a cell."""


@pytest.mark.parametrize(
    ("form", "where"),
    [("text", "folder"), ("json", "folder"), pytest.param("json", "server", marks=pytest.mark.postgres)],
)
def test_nobody_who_looks_back_sees_a_row_that_was_not_asked_for(place, form, where):
    """Rows that are delivered and remembered with their values, changed, rejected here and there; a state anywhere."""
    fields, environment = TYPED.replace("type: integer", "type: string"), {"BUCKET_LOADER_LOG_FORMAT": form}
    if where == "server":
        environment["BUCKET_LOADER_STATE"] = servers.postgres_url()
    here = place(fields=fields, stream="\n    remember: values", environment=environment)
    with serving(lambda body: status(400)(body) if b"note7" in body else (200, b'{"success": true}', {})) as url:
        for turn in range(2):
            here.write([f"{VALUE}-id{n},{VALUE}-note{n}-{turn},2026-01-0{n}" for n in range(9)])  # no day is a 0th
            assert here.command(url, "run") == 3
        codes = {words: here.command(url, *words, as_json=form == "json") for words in LOOKS}

        refused = {query: here.command(url, "history", "--sql", query) for query in REACHES}

    assert {words: code for words, code in codes.items() if code not in {0, 3}} == {}
    assert set(refused.values()) == {2}, refused
    assert here.leaks() == []
    here.command(url, "report", "-o", "rows.html", "--with-rows")
    here.write([f"{VALUE}-id{n},{VALUE}-another{n},2026-01-0{n}" for n in range(9)])
    here.command(url, "plan", "--diff")
    found = [name for name in ("latest.html", "rows.html", "stdout") if VALUE in (here.folder / name).read_text()]
    assert found == ["rows.html", "stdout"], "what is asked for is there, so it would have been found"


def rows_of(count, *, note="note", at="2026-01-01", first=0):
    """Return rows that are right, or nearly."""
    return [f"{VALUE}-id{n},{VALUE}-{note}{n},{at}" for n in range(first, first + count)]


GATES = {
    "{rows: {drop: 10%}}": rows_of(5),
    "{rows: {growth: 10%}}": rows_of(30),
    "{rows: {max: 5}}": rows_of(9),
    "{}": [],
    "{fresh: {column: at, within: 1h}}": rows_of(9),
    "{fresh: {column: note, within: 1h}}": rows_of(9),
    "{superseded: 10%}": rows_of(9) + rows_of(3),
    "{null: {note: 5%}}": [f"{VALUE}-id{n},,2026-01-01" for n in range(9)],
    "{rejected: 5%}": rows_of(9, at=f"{VALUE}-at"),
    "{changed: 5%}": rows_of(9, note="another"),
    "{columns: stop}": rows_of(9),
}


def test_a_gate_says_its_figure_and_no_value(place):
    """Whatever stops a run before it sends: on stderr, in the report, in `plan`, in the ledger and to the webhook."""
    fields = "{userId: id, attributes: {'*': {}, at: {column: at, type: timestamp, timezone: UTC}}}"
    here = place(fields=fields, stream="\n    remember: values\n    limits: {}")
    here.write(rows_of(9))
    with serving(lambda _: (200, b'{"success": true}', {})) as url:
        codes = [here.command(url, "run")]
        for limits, rows in GATES.items():
            here.stream = f"\n    remember: values\n    limits: {limits}"
            here.describe()
            here.write(rows, "id,note,at" if "columns" not in limits else "id,other,at")
            codes += [here.command(url, *words) for words in (("plan",), ("run", "--report", f"{len(codes)}.html"))]

    assert codes == [0, *([0, 4] * len(GATES))]
    assert [one["on"] for one in here.told()] == ["stopped"] * len(GATES)
    assert here.leaks() == []


SOURCES = {
    "missing": "{type: csv, path: nowhere.csv}",
    "columns": "{type: csv, path: things.csv, delimiter: ';'}",
    "query": '{type: query, sql: "select cast(note as integer) as id, note, at from things"}',
    "where": '{type: query, sql: "select error(note) as id, note, at from things"}',
    "database": f'{{type: sql, url: "postgresql://me:{PASSWORD}@127.0.0.1:1/db", query: "select \'{VALUE}\'"}}',
    "password": f'{{type: sql, url: "postgresql://127.0.0.1:1/db?user=me&password={PASSWORD}", query: "select 1"}}',
}


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("word", ["check", "plan", "run"])
def test_a_source_that_fails_tells_no_value_and_no_password(place, source, word):
    """What is wrong with a source is said without the rows that showed it, and without the password of its address."""
    here = place(source=SOURCES[source])
    if "query" in SOURCES[source][:14]:
        text = (here.folder / "pipeline.yaml").read_text("utf-8")
        (here.folder / "pipeline.yaml").write_text(
            text.replace("streams:", f"sources:\n  things: {SOURCE}\nstreams:"), "utf-8"
        )
    code = here.command("http://127.0.0.1:9", word)

    assert code in {2, 75}, (here.folder / "stderr").read_text()
    assert [one["exit_code"] for one in here.told()] == ([code] if word == "run" else [])
    assert here.leaks() == []


def certificate(folder):
    """Make a certificate that nobody trusts."""
    path = folder / "cert.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-keyout", str(path), "-out", str(path) + ".crt", "-days", "2", "-subj", "/CN=other"],
                   check=True, capture_output=True)  # fmt: skip
    path.write_text(path.read_text() + (path.with_name("cert.pem.crt")).read_text())
    return path


@pytest.mark.parametrize(
    "way",
    ["refused", "timeout", "proxy", "tls", "locked", "damaged", "killed", "debug", "key", "hook", "no-hook", "state"],
)
def test_what_goes_wrong_around_a_run_tells_nothing(place, tmp_path, way):
    """No answer, a proxy, TLS, a lock, a damaged ledger, a kill, debug logging, a key or webhook that cannot be one."""
    here = place(more=f', proxy: "http://me:{PASSWORD}@127.0.0.1:9"' if way == "proxy" else "")
    if way == "debug":
        here.environment = {"PYTHONDEVMODE": "1", "LOGLEVEL": "DEBUG", "BUCKET_LOADER_LOG": "DEBUG", "DEBUG": "1"}
    if way == "key":
        here.environment = {"BUCKET_SECRET_KEY": f"{KEY}\n{KEY}"}
    if way in {"hook", "no-hook"}:
        here.environment = {"HOOK": f"http://127.0.0.1:9/{HOOK}" if way == "hook" else f"https://h/{HOOK} {HOOK}"}
    state = ["--state", f"postgresql://me:{PASSWORD}@127.0.0.1:1/db"] if way == "state" else []
    tls = certificate(tmp_path) if way == "tls" else None
    slow = 2.0 if way == "timeout" else 0.3 if way in {"locked", "killed"} else 0.0
    accepting = lambda _: (200, b'{"success": true}', {})  # noqa: E731
    with serving(accepting, delay_s=slow, certificate=tls) as served:
        url = "http://127.0.0.1:9" if way == "refused" else served
        if way == "locked":
            here.command(url, "run", meanwhile=lambda _: time.sleep(0.4) or here.command(url, "run"))
        elif way == "killed":
            here.command(url, "run", meanwhile=lambda pid: time.sleep(0.6) or os.kill(pid, signal.SIGKILL))
            here.command(url, "run")
        else:
            here.command(url, "run", "--patience", "1s", *state)
        if way == "damaged":
            (ledger,) = here.folder.glob(".bucket_loader/*/ledger.db")
            ledger.write_bytes(ledger.read_bytes()[:4096] + os.urandom(8192))
            here.command(url, "run")

    assert here.leaks() == []


def test_a_program_that_logs_everything_logs_no_key_and_no_row(place):
    """Called from Python with the root logger at DEBUG, and failing: nobody's log line holds a canary."""
    here = place()
    code = "import logging; logging.basicConfig(level=1); from bucket_loader import load; load('pipeline.yaml')"
    with serving(status(401)) as url, (here.folder / "stderr").open("wb") as err:
        environment = {**os.environ, **here.variables(url), "PYTHONPATH": str(ROOT)}
        subprocess.run([sys.executable, "-c", code], cwd=here.folder, env=environment, stderr=err, check=False)

    assert b"DEBUG" in (here.folder / "stderr").read_bytes()
    assert here.leaks() == []


def test_the_process_list_holds_no_key(place):
    """Neither the words of the process nor those of any child of it, from its start to its end."""
    here = place()
    seen = set()

    def look(pid):
        end = time.monotonic() + 3
        while time.monotonic() < end and not here.forks.ask(ended=pid):
            for process in Path("/proc").glob("[0-9]*"):
                try:
                    parent = (process / "stat").read_text().rpartition(")")[2].split()[1]
                    if process.name == str(pid) or parent == str(pid):
                        seen.add((process.name == str(pid), (process / "cmdline").read_bytes()))
                except OSError:
                    continue
            time.sleep(0.02)

    with serving(lambda _: (200, b'{"success": true}', {}), delay_s=0.2) as url:
        here.command(url, "run", meanwhile=look)

    assert seen
    assert not [line for _, line in seen if EVERY.search(line)]
    assert all(is_itself for is_itself, _ in seen), "it starts no process, so its environment goes nowhere"
