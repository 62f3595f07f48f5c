"""`notify:`: webhooks are told how runs ended, and change nothing about them."""

import fcntl
import json
import os
import secrets
import signal
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from urllib.parse import quote

import pandas as pd
import pytest
from servers import PASSWORD, postgres_url
from workplace import Workplace, served_by

from bucket_loader import load
from bucket_loader.runs import notify, run

SECRET = "/services/T00/B00/secret-of-the-path"  # noqa: S105  # the canary
GOOD, BAD = "id,name,seats\n1,Acme,5\n", "id,name,seats\n1,Acme,5\n,Beta,7\n"
EVENTS = """
- name: events
  record: event
  source: {type: csv, path: "events-{interval_start:%Y-%m}.csv"}
  key: [id]
  on_unknown: hold
  fields: {userId: user, event: {value: did}, timestamp: {column: at, timezone: UTC}}
"""
COMPANIES = """
- name: companies
  record: company
  source: {type: csv, path: accounts.csv}
  fields: {companyId: id, attributes: {name: name}}
"""


class Hook:
    """A webhook: what it was told, and where it is."""

    def __init__(self, url):
        self.url = url + SECRET
        self.host = url.removeprefix("http://")
        self.told = []
        self.status = 200
        self.before = lambda: None

    @property
    def occasions(self):
        """What it was told of, in order."""
        return [one["on"] for one in self.told]


@contextmanager
def hooked():
    """A webhook that listens for as long as the `with` lasts."""
    found = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            (hook,) = found
            hook.told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            hook.before()
            self.send_response(hook.status)
            self.end_headers()

        def log_message(self, *_):
            """Say nothing."""

    with served_by(Handler) as url:
        found.append(Hook(url))
        yield found[0]


@pytest.fixture
def hook(workplace, monkeypatch):
    """A webhook that the pipeline of the workplace tells of everything."""
    with hooked() as found:
        monkeypatch.setenv("HOOK", found.url)
        workplace.pipeline(COMPANIES, head="notify: {webhook: '${HOOK}'}\n")
        workplace.write("accounts.csv", GOOD)
        yield found


def test_a_run_that_is_not_well_is_told_once_with_its_counts_and_what_to_do(workplace, hook):
    """A success says nothing; rejected rows are told, and no value of them."""
    workplace.run()
    assert hook.told == []

    workplace.write("accounts.csv", BAD)
    result = workplace.run()

    (told,) = hook.told
    assert told["streams"] == result.summary["streams"]
    assert told["text"].split("\n") == [
        "test (production) finished, and some rows were rejected (exit 3)",
        "companies: 2 read, 0 delivered, 1 rejected, 1 unchanged",
        f"next: {told['next']}",
        f"run {result.summary['run']}",
    ]
    assert {name: value for name, value in told.items() if name not in {"text", "streams", "next", "as_of"}} == {
        "on": "rejected", "pipeline": "test", "environment": "production", "run": result.summary["run"],
        "status": "rejected", "exit_code": 3, "resumed": [], "message": None,
    }  # fmt: skip
    assert result.summary["dead_letters"] in told["next"]
    assert "Beta" not in json.dumps(told)


def test_what_ends_before_there_is_a_run_is_told(workplace, hook):
    """A source that is not there: no run, no counts, the message and the hint of the command, with its file named."""
    (workplace.folder / "accounts.csv").unlink()
    result = workplace.run()

    (told,) = hook.told
    assert (told["on"], told["status"], told["exit_code"], told["run"]) == ("failed", "failed", result.exit_code, None)
    assert told["message"] in result.stderr
    assert "accounts.csv" in told["text"]


def test_the_first_success_is_told_as_recovered_and_no_other(workplace, hook):
    """Of several that were told it is one; of what nobody was told there is none."""
    for rows in (BAD, None, GOOD, GOOD):
        if rows is None:
            (workplace.folder / "accounts.csv").unlink()
        else:
            workplace.write("accounts.csv", rows)
        workplace.run()

    assert hook.occasions == ["rejected", "failed", "recovered"]
    assert hook.told[2]["text"].startswith("test (production) works again\ncompanies: 1 read")


def test_each_webhook_is_told_of_what_it_asks_for(workplace, hook, monkeypatch):
    """One hears of failures, one of rejected rows and that they are over; a list names both."""
    with hooked() as other:
        monkeypatch.setenv("OTHER", other.url)
        listed = "notify:\n- {webhook: '${HOOK}', on: failed}\n- {webhook: '${OTHER}', on: [rejected, recovered]}\n"
        workplace.pipeline(COMPANIES, head=listed)
        for rows in (None, GOOD, BAD, GOOD):
            (workplace.folder / "accounts.csv").unlink() if rows is None else workplace.write("accounts.csv", rows)
            workplace.run()

    assert hook.occasions == ["failed"]
    assert other.occasions == ["rejected", "recovered"], "it was not told of the failure, so not that it was over"


def test_a_limit_and_what_is_held_have_words_of_their_own(workplace, hook, emulator):
    """A run that `limits:` stopped is told with the limit; what waits for a person with the command that shows it."""
    workplace.pipeline(COMPANIES, head="notify: {webhook: '${HOOK}'}\nlimits: {rejected: 10%}\n")
    workplace.write("accounts.csv", BAD)
    assert workplace.run().exit_code == 4

    workplace.pipeline(EVENTS.replace("{interval_start:%Y-%m}", "1"), head="notify: {webhook: '${HOOK}'}\n")
    workplace.write("events-1.csv", "id,user,at\n1,u1,2025-01-01T00:00:00Z\n")
    emulator.faults({"kind": "cut_after"})
    assert workplace.run().exit_code == 75

    stopped, held = hook.told
    assert (stopped["on"], stopped["exit_code"], held["on"], held["exit_code"]) == ("stopped", 4, "held", 75)
    assert stopped["message"].startswith("stream 'companies': 1 of 2 rows are rejected")
    assert f"`bucket-loader release {workplace.folder / 'pipeline.yaml'} --all --dry-run`" in held["next"]


def test_a_backfill_is_told_once(workplace, hook):
    """Of three windows, one of which rejects a row, the worst is told; that all is well again as well."""
    workplace.pipeline(EVENTS, head="notify: {webhook: '${HOOK}'}\n")
    words = ["--from", "2025-01-01", "--to", "2025-04-01", "--again"]
    for month in (1, 2, 3):
        workplace.write(f"events-2025-0{month}.csv", f"id,user,at\n{month},u,2025-0{month}-02\n")
    workplace.write("events-2025-02.csv", "id,user,at\n2,,2025-02-02\n")
    assert workplace.command("backfill", *words).exit_code == 3
    workplace.write("events-2025-02.csv", "id,user,at\n2,u,2025-02-02\n")
    assert workplace.command("backfill", *words).exit_code == 0

    assert hook.occasions == ["rejected", "recovered"]
    assert hook.told[0]["streams"]["events"]["rejected"] == 1


@pytest.mark.parametrize("words", [(), ("--quiet",), ("--log-format", "json")])
def test_a_webhook_that_fails_changes_nothing_but_for_one_warning(workplace, hook, monkeypatch, words):
    """Three attempts, the same exit code and stdout; the warning names the host, and no more of the address."""
    monkeypatch.setattr(notify, "WAITS_S", (0.0, 0.01, 0.01))
    workplace.write("accounts.csv", BAD)
    hook.status = 404
    result = workplace.run(*words)

    assert (result.exit_code, result.summary["status"], len(hook.told)) == (3, "rejected", 3)
    (line,) = [line for line in result.stderr.splitlines() if hook.host in line]
    assert "status 404" in line
    assert "warning" in line
    assert "secret" not in result.stdout + result.stderr


def test_a_quiet_success_says_nothing_even_if_its_webhook_fails(workplace, hook, monkeypatch):
    """Cron mails whatever is written: on exit 0 nothing is."""
    monkeypatch.setattr(notify, "WAITS_S", (0.0,))
    workplace.write("accounts.csv", BAD)
    workplace.run()
    workplace.write("accounts.csv", GOOD)
    hook.status = 500
    result = workplace.command("run", "--quiet")

    assert hook.occasions == ["rejected", "recovered"]
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "")


def test_no_webhook_is_waited_for_longer_than_ten_seconds():
    """Three attempts and the waits between them."""
    assert len(notify.WAITS_S) == 3
    assert sum(notify.WAITS_S) + 3 * notify.TIMEOUT_S <= 10


def test_a_signal_ends_the_telling_and_leaves_the_run_as_it_ended(workplace, hook):
    """Ctrl-C while a webhook that fails is told: no further attempt, and the exit code is the run's."""
    workplace.write("accounts.csv", BAD)
    hook.status, hook.before = 500, lambda: os.kill(os.getpid(), signal.SIGINT)
    result = workplace.run()

    assert (result.exit_code, result.summary["status"]) == (3, "rejected")
    assert len(hook.told) == 1


def test_a_run_that_is_interrupted_is_told_as_failed(workplace, hook, monkeypatch):
    """SIGTERM of a scheduler that ran out of time: somebody should hear of it."""
    send = run.deliver_run

    def interrupted(job, *arguments, **words):
        job.signal_number = signal.SIGTERM
        job.stopped.set()
        return send(job, *arguments, **words)

    monkeypatch.setattr(run, "deliver_run", interrupted)
    assert workplace.run().exit_code == 143

    (told,) = hook.told
    assert (told["on"], told["status"], told["exit_code"]) == ("failed", "interrupted", 143)
    assert told["text"].startswith("test (production) was interrupted (exit 143)")


def test_a_bug_is_told_by_its_kind_alone(workplace, hook, monkeypatch):
    """What a bug says may hold a row; its traceback stays where the run was."""

    def broken(*_, **__):
        raise KeyError("val-canary")

    monkeypatch.setattr(run, "deliver_run", broken)
    result = workplace.run()

    assert isinstance(result.exception, KeyError)
    (told,) = hook.told
    assert (told["on"], told["exit_code"]) == ("failed", 1)
    assert "KeyError" in told["message"]
    assert "canary" not in json.dumps(told)


def test_another_copy_that_runs_is_told_and_not_remembered(workplace, hook):
    """What the state itself stands in the way of cannot be noted there, and no `recovered` follows it."""
    workplace.run()
    (ledger,) = workplace.folder.glob(".bucket_loader/*/lock")
    with ledger.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert workplace.run().exit_code == 75
    workplace.run()

    assert hook.occasions == ["failed"]


@pytest.mark.postgres
def test_another_worker_tells_that_all_is_well_again(workplace, hook, tmp_path_factory):
    """With the ledger on a server: what one machine was told of is over when another succeeds; no password is told."""
    name, state = f"n{secrets.token_hex(6)}", postgres_url()
    machines = [Workplace(tmp_path_factory.mktemp("machine"), workplace.url) for _ in range(2)]
    for machine, rows in zip(machines, (BAD, GOOD), strict=True):
        machine.pipeline(f"{COMPANIES.rstrip()}\n  sync: full", head="notify: {webhook: '${HOOK}'}\n", name=name)
        machine.write("accounts.csv", rows)
        machine.run("--state", state, "--state", str(machine.folder))

    assert hook.occasions == ["rejected", "recovered"], hook.told[1]
    assert "--state" in hook.told[0]["next"]
    assert [spelt for spelt in (PASSWORD, quote(PASSWORD, safe="")) if spelt in json.dumps(hook.told)] == []


def test_nobody_is_told_of_what_a_person_looks_at(workplace, hook):
    """`plan`, `check`, `rehearse` and `status` tell nobody, and need no variable of a webhook; `run` does."""
    workplace.write("accounts.csv", BAD)
    for words in (["plan"], ["check"], ["rehearse"], ["status"]):
        assert workplace.command(*words, HOOK=None).exit_code in {0, 3}, words
        workplace.command(*words)
    result = workplace.run(HOOK=None)

    assert hook.told == []
    assert result.exit_code == 2
    assert "the variable HOOK is not set" in result.stderr


def test_load_tells_as_run_does(workplace, hook, monkeypatch):
    """Of a pipeline file, and of a table with `notify=`."""
    monkeypatch.chdir(workplace.folder)
    monkeypatch.setenv("BUCKET_BASE_URL", workplace.url)
    monkeypatch.setenv("BUCKET_SECRET_KEY", workplace.key)
    workplace.write("accounts.csv", BAD)
    load(workplace.folder / "pipeline.yaml")
    frame = pd.DataFrame({"id": ["1", None]})
    load(frame, record="company", fields={"companyId": "id"}, name="frame", notify={"webhook": hook.url})

    assert [(one["on"], one["pipeline"]) for one in hook.told] == [("rejected", "test"), ("rejected", "frame")]


def test_a_message_holds_no_password_and_no_sign_that_a_chat_takes_for_its_own(workplace, hook):
    """A source whose address has a password, and a name with signs: `<!channel>` in a text would wake everybody."""
    streams = COMPANIES.replace("accounts.csv", "'<!channel> & co.csv'")
    workplace.pipeline(streams, head="notify: {webhook: '${HOOK}'}\n")
    workplace.run()
    url = "{type: sql, url: 'postgresql://me:pw-canary-1@127.0.0.1:1/db', query: 'select 1'}"
    workplace.pipeline(COMPANIES.replace("{type: csv, path: accounts.csv}", url), head="notify: {webhook: '${HOOK}'}\n")
    workplace.run("--state", str(workplace.folder / "elsewhere"))

    assert "&lt;!channel&gt; &amp; co.csv" in hook.told[0]["text"]
    assert "<!channel> & co.csv" in hook.told[0]["message"]
    assert hook.told[1]["exit_code"] == 75
    assert "canary" not in json.dumps(hook.told)
