"""The two older APIs: one record a request, the key in the path, and every promise of delivery as with `/bulk`."""

import json
import logging
import os
import re
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections import Counter
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise

import pytest
from click.testing import CliRunner
from workplace import KEY

from bucket_loader.cli.commands import main
from bucket_loader.delivery.http import pacing, retry
from bucket_loader.model.chunks import read_ranges
from bucket_loader.state.ledger import Ledger

pytestmark = pytest.mark.long

PUBLISHABLE = "pub_test_0123456789"  # the emulator's
LEGACY = ("front-legacy", "tracking-legacy")
USERS = "{name: users, record: user, source: {type: csv, path: users.csv}, fields: {userId: id, attributes: {n: n}}}"
COMPANIES = (
    "{name: companies, record: company, source: {type: csv, path: companies.csv}, "
    "fields: {companyId: id, userId: user, attributes: {n: n}}}"
)
EVENTS = (
    "{name: events, record: event, source: {type: csv, path: events.csv}, "
    "fields: {userId: user, companyId: company, event: what, timestamp: {column: at, timezone: UTC}, "
    "attributes: {n: n}}}"
)
FEEDBACK = (
    "{name: feedback, record: feedback, source: {type: csv, path: feedback.csv}, key: [id], "
    "fields: {userId: user, featureId: feature, score: {column: score, type: integer}, comment: words}}"
)


@pytest.fixture
def quick(monkeypatch):
    """Shorten what is waited between attempts."""
    monkeypatch.setattr(retry, "WAIT_S_FIRST", 0.01)
    monkeypatch.setattr(retry, "WAIT_S_MAX", 0.05)
    monkeypatch.setattr(pacing, "PROBE_PERIOD_S", 0.02)


@pytest.fixture
def legacy(workplace):
    """A workplace with small exports, whose key is the publishable one."""
    workplace.key = PUBLISHABLE
    workplace.write("users.csv", "id,n\n007,1\nzoë,2\n")
    workplace.write("companies.csv", "id,user,n\nc1,007,1\n")
    workplace.write("events.csv", "user,company,what,at,n\n007,c1,seen,2025-01-01,1\n")
    workplace.write("feedback.csv", "id,user,feature,score,words\n1,007,feat1,4,good\n")
    return workplace


def pipeline(workplace, *streams, api="front-legacy", more="", name="legacy"):
    """Write a pipeline file of these streams for an API."""
    words = f"base_url: '${{BUCKET_BASE_URL}}', key: '${{BUCKET_SECRET_KEY}}', patience: 2s, api: {api}{more}"
    text = f"name: {name}\ndestination: {{{words}}}\nstreams:\n" + "".join(f"  - {stream}\n" for stream in streams)
    workplace.write("pipeline.yaml", text)


def events(workplace, count):
    """Write so many events, each with its number."""
    rows = (f"u{n % 7},c{n % 7},seen,2025-01-01,{n}\n" for n in range(count))
    workplace.write("events.csv", "user,company,what,at,n\n" + "".join(rows))


def named(workplace):
    """Return the sequences that the ledger names as possibly applied more than once, and how much oftener."""
    (path,) = workplace.folder.glob(".bucket_loader/*/ledger.db")
    found = Counter()
    with closing(Ledger(path)) as ledger:
        for run in ledger.runs():
            for row in ledger.chunks(run.run, 0, "queued", "intent", "delivered", "rejected", "held"):
                for sequence in read_ranges(row.members) if row.ambiguous else ():
                    found[sequence] += row.ambiguous
    return found


def repeated(emulator):
    """Return which events the emulator accepted oftener than once, by their number, and how much oftener."""
    accepted = Counter(int(entry["item"]["attributes"]["n"]) for entry in emulator.journal())
    return accepted.keys(), Counter({number: times - 1 for number, times in accepted.items() if times > 1})


@contextmanager
def recorder(answer=lambda _handler, _body: (200, b'{"success":true}', {})):
    """Serve for as long as the `with` lasts; gives the address, and what was received: line, headers, body."""
    received = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            received.append((self.requestline, dict(self.headers), body))
            status, data, headers = answer(self, body)
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", **headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def do_GET(self):
            self.do_POST()

        def log_message(self, *_):
            """Say nothing."""

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_):
            """Say nothing."""

    with Quiet(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", received
        finally:
            server.shutdown()
            thread.join()


# --- what is sent --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("api", LEGACY)
def test_each_record_is_one_request_in_the_form_of_the_older_apis(legacy, api):
    """The endpoint is the record's kind, the body the record alone, the key in the path and nowhere else."""
    pipeline(legacy, FEEDBACK, EVENTS, COMPANIES, USERS, api=api, more=", concurrency: 1")
    with recorder() as (url, received):
        result = legacy.run("--as-of", "2026-01-01", BUCKET_BASE_URL=url + "/base/")

    assert result.exit_code == 0, result.stderr
    at, quiet = '"timestamp":"2026-01-01T00:00:00.000Z"', '"context":{"active":false}'
    assert [(line, body.decode()) for line, _, body in received] == [
        (f"POST /base/{PUBLISHABLE}/user HTTP/1.1", f'{{"userId":"007","attributes":{{"n":"1"}},{at},{quiet}}}'),
        (f"POST /base/{PUBLISHABLE}/user HTTP/1.1", f'{{"userId":"zoë","attributes":{{"n":"2"}},{at},{quiet}}}'),
        (f"POST /base/{PUBLISHABLE}/company HTTP/1.1",
         f'{{"companyId":"c1","userId":"007","attributes":{{"n":"1"}},{at},{quiet}}}'),
        (f"POST /base/{PUBLISHABLE}/event HTTP/1.1",
         f'{{"userId":"007","event":"seen","companyId":"c1","attributes":{{"n":"1"}},{at.replace("2026", "2025")}}}'),
        (f"POST /base/{PUBLISHABLE}/feedback HTTP/1.1",
         '{"userId":"007","featureId":"feat1","score":4,"comment":"good"}'),
    ]  # fmt: skip
    headers = [value for _, found, _ in received for value in [*found, *found.values()]]
    assert not [value for value in headers if value == "Authorization" or PUBLISHABLE in value]


@pytest.mark.parametrize("api", LEGACY)
def test_a_run_into_the_emulator_is_whole_and_sound(legacy, emulator, api):
    """Check, run, audit, and a second run that has nothing to send."""
    pipeline(legacy, USERS, COMPANIES, EVENTS, FEEDBACK, api=api)

    checked, first = legacy.command("check"), legacy.run()
    audited, second = legacy.command("audit", first.summary["run"]), legacy.run()

    assert "takes the key" in checked.stderr
    assert [result.exit_code for result in (checked, first, audited, second)] == [0, 0, 0, 0]
    assert (first.summary["requests"], second.summary["requests"]) == (5, 0)
    state = emulator.state()
    assert [state[name] for name in ("users", "companies", "events", "feedback", "refused")] == [2, 1, 1, 1, 0]
    assert "5 records, 5 chunks" in audited.stderr


def test_the_same_bytes_are_sent_at_any_concurrency(legacy):
    """The bodies follow from the plan alone."""
    events(legacy, 50)
    bodies = []
    for concurrency in (1, 8):
        pipeline(legacy, EVENTS, more=f", concurrency: {concurrency}", name=f"at-{concurrency}")
        with recorder() as (url, received):
            assert legacy.run("--as-of", "2026-01-01", BUCKET_BASE_URL=url).exit_code == 0
        bodies.append(sorted((line, body) for line, _, body in received))

    assert len(bodies[0]) == 50
    assert bodies[0] == bodies[1]


def test_what_one_api_delivered_is_known_again_through_another(legacy, emulator):
    """The same host and environment have one memory: a switch of `api` sends no user and no event again."""
    pipeline(legacy, USERS, EVENTS)
    legacy.run("--as-of", "2026-01-01")
    pipeline(legacy, USERS, EVENTS, api="front")

    result = legacy.run("--key-rotated", BUCKET_SECRET_KEY=KEY)

    assert (result.exit_code, result.summary["requests"]) == (0, 0)
    assert len(emulator.journal()) == 3


def test_a_rehearsal_speaks_the_older_apis(legacy):
    """`rehearse` needs no key for them either."""
    pipeline(legacy, USERS, COMPANIES, api="tracking-legacy")

    result = legacy.command("rehearse", "--json", BUCKET_SECRET_KEY=None)

    assert result.exit_code == 0, result.stderr
    assert result.summary["requests"] == 3


# --- the guarantees ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("api", "fault"),
    [
        ("front-legacy", {"kind": "status", "status": 500, "rate": 0.1}),
        ("tracking-legacy", {"kind": "cut_after", "rate": 0.1}),
    ],
)
def test_under_faults_all_arrives_and_what_came_twice_was_named(legacy, emulator, quick, api, fault):
    """Server errors and lost answers: each repeated record is one that the ledger names, and the summary counts."""
    events(legacy, 80)
    pipeline(legacy, EVENTS, api=api, more=", concurrency: 4")
    emulator.faults(fault)

    result = legacy.run("--patience", "30s")

    accepted, twice = repeated(emulator)
    doubtful = named(legacy)
    assert result.exit_code == 0, result.stderr
    assert accepted == set(range(80))
    assert doubtful
    assert all(twice[number] <= doubtful[number] for number in twice)
    assert result.summary["streams"]["events"]["possibly_duplicated"] == len(doubtful)
    assert bool(twice) == (fault["kind"] == "cut_after")


def test_a_kill_repeats_at_most_what_was_in_flight(legacy, emulator):
    """Killed in the middle: the next run names the lost, finishes from the same plan, and audit agrees."""
    events(legacy, 300)
    pipeline(legacy, EVENTS, more=", concurrency: 4")
    emulator.faults({"kind": "latency", "seconds": 0.01})
    kept = {name: value for name, value in os.environ.items() if not name.startswith("BUCKET_")}
    process = subprocess.Popen(
        [sys.executable, "-m", "bucket_loader", "run", "pipeline.yaml", "--quiet"], cwd=legacy.folder,
        env=kept | {"BUCKET_BASE_URL": emulator.url, "BUCKET_SECRET_KEY": PUBLISHABLE},
    )  # fmt: skip
    end = time.monotonic() + 60
    while emulator.state()["requests"] < 60 and process.poll() is None and time.monotonic() < end:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    time.sleep(0.1)  # what it left behind comes to its end
    emulator.faults()

    result = legacy.run()

    (resumed,) = result.summary["resumed"]
    audited = legacy.command("audit", resumed["run"])
    accepted, twice = repeated(emulator)
    doubtful = named(legacy)
    assert (result.exit_code, audited.exit_code) == (0, 0), result.stderr + audited.stderr
    assert accepted == set(range(300))
    assert set(twice) <= set(doubtful)
    assert len(doubtful) <= 4
    assert resumed["streams"]["events"]["possibly_duplicated"] == len(doubtful)


def test_a_refused_record_is_a_dead_letter_at_once(legacy, emulator):
    """A 400 names one record: no isolation, one request each, and a replay sends it as it was recorded."""
    events(legacy, 20)
    pipeline(legacy, EVENTS, more=", concurrency: 2")
    emulator.faults({"kind": "poison", "match": '"n":"1', "status": 400})
    result = legacy.run()
    letters = legacy.dead_letters(result)
    emulator.faults()

    given = {"BUCKET_BASE_URL": legacy.url, "BUCKET_SECRET_KEY": legacy.key}
    replayed = CliRunner().invoke(main, ["replay", result.summary["dead_letters"], "--json"], env=given)

    refused = {"1", *map(str, range(10, 20))}
    assert (result.exit_code, result.summary["requests"]) == (3, 20)
    assert {letter["record"]["attributes"]["n"] for letter in letters} == refused
    assert {letter["response"]["status"] for letter in letters} == {400}
    assert not [letter for letter in letters if "type" in letter["record"]]
    assert (replayed.exit_code, json.loads(replayed.stdout.splitlines()[-1])["requests"]) == (0, len(refused))
    assert repeated(emulator) == (dict.fromkeys(range(20)).keys(), Counter())


def test_companies_that_share_a_user_keep_their_order(legacy, emulator, quick):
    """Sixteen at once, slow and failing: for each user the companies come in the source's order."""
    rows = "".join(f"c{n:03},u{n % 5},{n}\n" for n in range(60))
    legacy.write("companies.csv", "id,user,n\n" + rows)
    pipeline(legacy, COMPANIES, more=", concurrency: 16")
    slow = {"kind": "latency", "seconds": 0.02, "rate": 0.3}
    emulator.faults(slow, {"kind": "status", "status": 500, "rate": 0.1}, seed=3)

    result = legacy.run("--patience", "30s")

    assert result.exit_code == 0, result.stderr
    order = {}
    for entry in emulator.journal():
        order.setdefault(entry["item"]["userId"], []).append(entry["item"]["companyId"])
    assert sum(map(len, order.values())) >= 60
    assert all(one <= other for companies in order.values() for one, other in pairwise(companies))


def test_a_begun_run_keeps_its_api(legacy, emulator):
    """A plan is finished through the API it was made for, or refused; `abandon` frees the rest for the other."""
    pipeline(legacy, USERS)
    emulator.faults({"kind": "status", "status": 500})
    stopped = legacy.run("--patience", "100ms")
    emulator.faults()
    pipeline(legacy, USERS, api="front")
    requests = emulator.state()["requests"]
    refused = legacy.run()
    pipeline(legacy, USERS)
    finished = legacy.run()

    assert (stopped.exit_code, refused.exit_code, finished.exit_code) == (75, 2, 0)
    assert "`api: front-legacy`" in refused.stderr
    assert "abandon" in refused.stderr
    assert emulator.state()["requests"] == requests + 2
    assert [one["run"] for one in finished.summary["resumed"]] == [stopped.summary["run"]]


def test_a_plan_for_one_api_is_not_run_through_another(legacy, emulator):
    """`run --plan` sends exactly those bytes, so not to where they do not fit."""
    pipeline(legacy, USERS)
    planned = json.loads(legacy.command("plan", "--json").stdout.splitlines()[-1])
    pipeline(legacy, USERS, api="tracking-legacy")

    result = legacy.run("--plan", planned["plan"])

    assert result.exit_code == 2
    assert "`api: front-legacy`" in result.stderr
    assert emulator.state()["requests"] == 0


# --- the key in the path -------------------------------------------------------------------------------------------


def quoting(status, **headers):
    """Answer with a status, and quote the path, as proxies and validators do."""

    def answer(handler, _body):
        error = {"code": "BODY_VALIDATION_FAILED", "message": f"{handler.path} is not allowed"}
        return status, json.dumps({"success": False, "error": error}).encode(), headers

    return answer


def page(handler, _body):
    """Answer with a page that quotes the path."""
    return 200, f"<html>{handler.path}</html>".encode(), {"Content-Type": "text/html"}


def elsewhere(handler, _body):
    """Redirect, with the path."""
    return 307, b"", {"Location": f"http://127.0.0.1:1{handler.path}"}


SAYING = {
    "400": (quoting(400), 3), "401": (quoting(401), 5), "404": (quoting(404), 5), "500": (quoting(500), 75),
    "success-false": (quoting(200), 3), "html": (page, 5), "redirect": (elsewhere, 5),
}  # fmt: skip


def leaks(workplace, *texts):
    """Return every place that holds the key: files, and what was said."""
    found = [
        str(path)
        for path in workplace.folder.rglob("*")
        if path.is_file() and PUBLISHABLE.encode() in path.read_bytes()
    ]
    return found + [text for text in texts if PUBLISHABLE in text]


@pytest.mark.parametrize("saying", SAYING)
def test_no_answer_brings_the_key_of_the_path_anywhere(legacy, caplog, saying):
    """With every library's log at DEBUG: not in a log, a message, the summary, the ledger, a plan or a dead letter."""
    caplog.set_level(logging.DEBUG)
    answer, code = SAYING[saying]
    pipeline(legacy, USERS)
    with recorder(answer) as (url, received):
        result = legacy.run("--patience", "200ms", BUCKET_BASE_URL=url)

    assert result.exit_code == code, result.stderr
    assert f"/{PUBLISHABLE}/user" in received[0][0]
    assert leaks(legacy, caplog.text, result.stdout, result.stderr) == []


@pytest.mark.parametrize("way", ["no-server", "proxy", "no-tls", "bug"])
def test_no_failure_brings_the_key_of_the_path_anywhere(legacy, caplog, monkeypatch, way):
    """Nobody there, a proxy that is none, TLS that is none, a bug with its traceback."""
    caplog.set_level(logging.DEBUG)
    pipeline(legacy, USERS, more=", proxy: 'http://127.0.0.1:9'" if way == "proxy" else "")
    if way == "bug":
        monkeypatch.setattr("http.client.HTTPConnection.endheaders", lambda *_, **__: 1 // 0)
    with recorder() as (url, _):
        where = {"no-server": "http://127.0.0.1:9", "no-tls": url.replace("http:", "https:")}.get(way, url)
        result = legacy.run("--patience", "200ms", BUCKET_BASE_URL=where)

    assert result.exit_code == {"no-tls": 5, "bug": 1}.get(way, 75), result.stderr
    told = "".join(traceback.format_exception(result.exception)) if result.exception else ""
    assert leaks(legacy, caplog.text, result.stdout, result.stderr, told) == []


def test_a_400_that_says_the_key_is_wrong_dead_letters_nothing(legacy):
    """The older documents know no 401: the code decides, the run ends with 5, and the rows wait."""
    refusal = b'{"success":false,"error":{"code":"INVALID_API_KEY","message":"no"}}'
    pipeline(legacy, USERS)
    with recorder(lambda _handler, _body: (400, refusal, {})) as (url, _):
        result = legacy.run(BUCKET_BASE_URL=url)

    assert result.exit_code == 5
    assert (result.summary["dead_letters"], result.summary["streams"]["users"]["pending"]) == (None, 2)


# --- check ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("api", LEGACY)
def test_check_refuses_a_wrong_key_without_showing_it(legacy, emulator, api):
    """A read with the key in the path is refused: exit 5, and nothing is written."""
    pipeline(legacy, USERS, api=api)

    result = legacy.command("check", BUCKET_SECRET_KEY="pub_prod_wrong")

    assert result.exit_code == 5
    assert "publishable key" in result.stderr
    assert "pub_prod_wrong" not in result.stdout + result.stderr
    assert emulator.state()["users"] == 0


NOT_THERE = b'{"success":false,"error":{"code":"UNKNOWN_ERROR","message":"no such endpoint"}}'


@pytest.mark.parametrize(
    ("api", "body", "code"),
    [("tracking-legacy", NOT_THERE, 0), ("front-legacy", NOT_THERE, 5), ("tracking-legacy", b"<html>404</html>", 5)],
)
def test_check_says_when_a_tracking_host_has_no_read(legacy, api, body, code):
    """Its document names no read: a 404 in Bucket's envelope proves the host alone, any other 404 proves nothing."""
    pipeline(legacy, USERS, api=api)
    with recorder(lambda _handler, _body: (404, body, {})) as (url, received):
        result = legacy.command("check", BUCKET_BASE_URL=url)

    assert result.exit_code == code, result.stderr
    assert [line.split()[0] for line, _, _ in received] == ["GET"]
    assert code or re.search("only the first record can prove the key", result.stderr)


def test_a_secret_key_never_comes_into_a_path(legacy):
    """Whatever the command, it is refused before anything is sent; the key is not shown."""
    pipeline(legacy, USERS)
    secret = KEY
    with recorder() as (url, received):
        results = [
            legacy.command(word, BUCKET_BASE_URL=url, BUCKET_SECRET_KEY=secret) for word in ("check", "plan", "run")
        ]

    assert [result.exit_code for result in results] == [2, 2, 2]
    assert all("publishable" in result.stderr and secret not in result.stderr for result in results)
    assert received == []
