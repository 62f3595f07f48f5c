"""Several processes of this machine send one run: `run --senders`, and `deliver` in shells of their own."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import servers
from driver import FAULTS, KEY, REFUSING, Load, Processes, bucket
from invariants import finished
from remote import Remote
from shared import Shared

from bucket_loader.runs.status import _sender

SIZE = {"users": 100, "companies": 40, "events": 500}

pytestmark = [pytest.mark.rehearsal, pytest.mark.postgres]


@pytest.fixture
def load(tmp_path, forks, endpoints):
    """A load with its ledger on PostgreSQL, and an emulator that is a little slow."""
    servers.postgres()
    with bucket(endpoints[0].url) as it:
        yield Shared(tmp_path / "load", it, forks, **SIZE)


def children_of(pid):
    """Return the processes that a process has started and that have not ended."""
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text("utf-8").split()]


def alive(pid):
    """Whether a process is there, and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(") ")[2][0] != "Z"
    except OSError:
        return False


def wait_until(holds, seconds=60.0):
    """Wait until something holds."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.05)


def test_a_run_with_several_senders_is_a_run(load):
    """Its summary, dead letters, audit and exit code are those of one sender; each of several has sent some of it."""
    load.bucket.faults(*FAULTS)
    load.plan()
    child = load.start("run", "--plan", str(load.folder_of_plan), "--senders", "3")
    wait_until(lambda: len(load.senders()) == 3 or child.ended())
    shown = load.asked("SELECT count(DISTINCT host || pid) FROM sender")
    code = child.wait()
    told = load.told()

    assert code == 3, load.stderr()[-3000:]
    assert shown == [(3,)]
    assert told["requests"] == load.bucket.requests()
    finished(load, code)
    load.sent_by_one_at_a_time()
    assert len({backend for (backend,) in load.asked("SELECT DISTINCT backend FROM seen")}) >= 3
    assert load.asked("SELECT count(*) FROM part") == load.asked("SELECT count(*) FROM sender") == [(0,)]


def test_a_sender_that_is_killed_is_replaced_at_once_by_those_beside_it(load):
    """The command that started it sees it die: nobody waits for a lease, and the run ends well."""
    load.bucket.faults({"kind": "latency", "seconds": 0.2}, REFUSING)
    load.plan()
    child = load.start("run", "--plan", str(load.folder_of_plan), "--senders", "2")
    wait_until(lambda: sum(has for *_, has in load.senders()) == 2)
    killed = time.monotonic()
    os.kill(load.senders()[0][1], 9)
    wait_until(lambda: load.asked("SELECT 1 FROM sender WHERE ended IS NOT NULL") != [] or child.ended())
    took_s = time.monotonic() - killed

    assert took_s < 10
    finished(load, child.wait())


def test_senders_end_with_the_process_that_started_them(load):
    """Killed, it leaves nobody behind; the next run sends the rest, and names what was in flight."""
    load.bucket.faults({"kind": "latency", "seconds": 0.2}, REFUSING)
    load.plan()
    child = load.start("run", "--plan", str(load.folder_of_plan), "--senders", "2")
    wait_until(lambda: sum(has for *_, has in load.senders()) == 2)
    started = children_of(child.pid)
    child.kill()
    wait_until(lambda: not any(map(alive, started)))

    assert len(started) == 2
    finished(load, load.run())


def test_status_names_who_sends(load):
    """Host, process, part, since when, and when it was heard of: as JSON, and in a line."""
    load.bucket.faults({"kind": "latency", "seconds": 0.3})
    run = load.plan()
    child = load.start("deliver", run)
    wait_until(lambda: any(has for *_, has in load.senders()))
    assert load.run("status", run) == 0
    ((one,),) = [shown["senders"] for shown in load.told()["runs"]]
    child.wait()

    assert one["pid"] == child.pid
    assert one["stream"] in {"users", "companies", "events"}
    assert one["since"] <= one["heard_at"]
    assert f"process {child.pid}, has part {one['part']} of {one['stream']} since" in _sender(one)


@pytest.mark.parametrize("words", [("deliver", "20260101T000000000Z"), ("run", "--senders", "2")])
def test_a_ledger_in_a_file_is_for_one_sender(tmp_path, forks, endpoints, words):
    """Exit 2 says why, and what to do; nothing is read or sent."""
    with bucket(endpoints[0].url) as it:
        load = Load(tmp_path / "load", it, forks, users=1, companies=1, events=1)
        code = load.run(*words)

        assert (code, it.requests()) == (2, 0)
        assert "postgresql://" in load.told()["error"]["hint"]
        assert load.state is None


def test_the_recipe_of_two_shells_is_one(tmp_path, endpoints):
    """The commands of the page, word for word but for the address of the ledger."""
    page = (Path(__file__).parents[2] / "docs" / "how-to" / "many-senders.md").read_text("utf-8")
    (commands,) = re.findall(r"```console\n(export .+?)```", page, re.DOTALL)
    servers.postgres()
    with bucket(endpoints[0].url) as it:
        load = Load(tmp_path / "load", it, Processes(), users=5, companies=5, events=30, refused=0)
        text = (load.folder / "pipeline.yaml").read_text("utf-8")
        load.write("nightly.yaml", text.replace("name: rehearsed", f"name: r{time.time_ns()}"))
        words = commands.replace("postgresql://loader@db/bucket_loader", shlex.quote(servers.postgres_url()))
        environment = {**os.environ, "BUCKET_BASE_URL": it.url, "BUCKET_SECRET_KEY": KEY,
                       "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}  # fmt: skip
        done = subprocess.run(["bash", "-ec", words + "wait $!"], cwd=load.folder, env=environment, check=False,
                              capture_output=True, text=True, timeout=120)  # fmt: skip

        assert done.returncode == 0, done.stderr
        assert done.stderr.count("succeeded in") == 2
        assert it.accepted().keys() == load.everything()[0]


def test_senders_on_machines_of_their_own_fetch_the_plan(tmp_path, forks, endpoints, store):
    """Each has a disk of its own; the plan is in the store, and so are the dead letters of all of them at the end."""
    servers.postgres()
    with bucket(endpoints[0].url) as it:
        it.faults(REFUSING)
        first = Remote(tmp_path / "first", it, forks, store=store, **SIZE)
        assert first.run("plan", "--keep-in-store") == 0, first.stderr()
        run = first.told()["run"]
        others = [first.another(tmp_path / name) for name in ("second", "third")]
        codes = [child.wait() for child in [one.start("deliver", run) for one in others]]

        assert codes == [3, 3], [one.stderr()[-1500:] for one in others]
        finished(others[0], 3)


def test_a_plan_that_is_not_here_is_said(tmp_path, forks, endpoints):
    """On a machine that has not the plan, and no store: exit 2 names what is missing."""
    servers.postgres()
    with bucket(endpoints[0].url) as it:
        load = Shared(tmp_path / "load", it, forks, users=5, companies=5, events=5)
        run = load.plan()
        shutil.rmtree(load.folder / ".bucket_loader")

        assert load.run("deliver", run) == 2
        assert "store" in load.told()["error"]["hint"], load.told()


def test_a_file_that_is_called_like_a_module_of_python_stops_no_sender(load):
    """The senders find the modules that the command finds: not what lies in the folder in which it runs."""
    (load.folder / "queue.py").write_text("raise SystemExit('not mine')\n", "utf-8")
    load.bucket.faults({"kind": "latency", "seconds": 0.2})
    load.plan()
    child = load.start("run", "--plan", str(load.folder_of_plan), "--senders", "2")
    child.wait()

    assert "not mine" not in load.stderr()
    assert load.asked("SELECT count(DISTINCT backend) FROM seen") >= [(2,)]


def test_a_name_that_no_run_has_sends_nothing_of_another(load):
    """A misspelt name ends with 2 before the run that is unfinished is looked at."""
    load.bucket.faults({"kind": "latency", "seconds": 0.2})
    load.plan()
    child = load.start("run", "--plan", str(load.folder_of_plan))
    load.wait_for_requests(2, child)
    assert child.kill()
    before = load.bucket.requests()

    assert load.run("deliver", "misspelt") == 2
    assert load.bucket.requests() == before
