"""State for workers that forget: a ledger on PostgreSQL, files in a store, and a new disk for each command."""

import fcntl
import json
import shutil
import subprocess
import threading
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

import pytest
import servers
import stores
from pods import new_pod, objects
from workplace import COMPANIES, Workplace

from bucket_loader.model.errors import StateError, UsageError
from bucket_loader.state.location import StatePlace, read_place
from bucket_loader.state.store import StoredFiles

EVENTS = """
- name: events
  record: event
  source: {type: csv, path: events.csv}
  key: [n]
  fields:
    userId: user
    event: what
    timestamp: {column: at, timezone: UTC}
"""


@pytest.fixture(params=[pytest.param("server", marks=pytest.mark.postgres)])
def pod(tmp_path, emulator, s3):
    """A worker that forgets, with events to load."""
    it = new_pod(tmp_path, emulator, s3)
    rows = (f"{n},u{n},{'early' if n < 200 else 'late'},2025-01-01\n" for n in range(450))
    it.write("events.csv", "n,user,what,at\n" + "".join(rows))
    it.pipeline(EVENTS, name=f"test-{it.prefix}")
    return it


FAILING = {"kind": "poison", "match": '"late"', "status": 503}


def interrupted(pod, emulator):
    """Make a run that an outage interrupts before its late records; gives its name."""
    emulator.faults(FAILING)
    result = pod.run()
    emulator.faults()
    assert result.exit_code == 75, result
    return result.summary["run"]


def test_a_disk_that_is_lost_between_runs_costs_nothing(pod, emulator):
    """What was begun is finished from the store's plan, what was delivered is known: nothing twice, nothing less."""
    run = interrupted(pod, emulator)
    second, third = pod.run(), pod.run()

    assert [one["run"] for one in second.summary["resumed"]] == [run]
    assert second.summary["resumed"][0]["streams"]["events"]["delivered"] == 450
    assert (third.exit_code, third.summary["requests"]) == (0, 0)
    assert third.summary["streams"]["events"]["unchanged"] == 450
    assert emulator.state()["events"] == 450
    assert json.loads(pod.command("audit", run, "--json").stdout)["findings"] == []


def test_the_plan_is_in_the_store_before_anything_is_sent(pod, emulator, s3):
    """A store that refuses stops the run while it can still be stopped: no run, no request."""
    pod.state = f"{servers.postgres_url()} s3://no-such-bucket/x"
    result = pod.run()

    assert result.exit_code in {2, 75}
    assert "no-such-bucket" in result.stderr
    assert emulator.state()["requests"] == 0
    assert json.loads(pod.command("status", "--json").stdout)["runs"] == []


def test_a_plan_that_is_lost_all_the_same_leads_to_abandon(pod, emulator, s3):
    """`run` says so, sends nothing, and names the command; after it the next plan decides again."""
    run = interrupted(pod, emulator)
    for path in objects(s3, pod, "plans/"):
        s3.files.delete_file(path)

    result = pod.run()
    assert (result.exit_code, emulator.state()["events"]) == (2, 200)
    assert "there is no plan" in result.stderr
    assert "bucket-loader abandon" in result.stderr
    abandoned = pod.command("abandon", run)
    assert (abandoned.exit_code, "its plan is lost" in abandoned.stderr) == (0, True)
    assert pod.run().exit_code == 0
    assert emulator.state()["events"] == 650  # as it was told: the 200 again


def test_a_store_that_is_away_is_not_a_plan_that_is_lost(pod, emulator):
    """`abandon` does not close a run, and forget what it sent, because the store cannot be reached."""
    run = interrupted(pod, emulator)
    away = pod.command("abandon", run, AWS_ENDPOINT_URL="http://127.0.0.1:1")

    assert away.exit_code == 75
    assert json.loads(pod.command("status", "--json").stdout)["runs"][0]["status"] == "unfinished"


@pytest.mark.parametrize("harm", ["lost", "changed"])
def test_memory_that_is_lost_is_never_taken_for_new_rows(pod, emulator, s3, harm):
    """A part that is missing, or is not what was written, is exit 2, and nothing is sent."""
    pod.run()
    (part,) = objects(s3, pod, "snapshots/")
    s3.files.delete_file(part)
    if harm == "changed":
        s3.put(part.removeprefix(f"{stores.BUCKET}/"), b"something else")
    result = pod.run()

    assert result.exit_code == 2
    assert "events" in result.stderr
    assert "snapshots/" in result.stderr
    assert "Traceback" not in result.stderr
    assert emulator.state()["requests"] == 5


def test_a_damaged_copy_is_fetched_again_and_a_damaged_object_is_found(pod, emulator, s3):
    """What lies on this disk is a copy; `audit --memory` reads the store's own."""

    def command(*words):
        return Workplace.command_of(
            pod, words[0], str(pod.folder / "pipeline.yaml"), *words[1:], BUCKET_LOADER_STATE=pod.state
        )

    pod.run()
    (copy,) = pod.folder.glob(".bucket_loader/*/snapshots/*.pages")
    data = copy.read_bytes()
    copy.write_bytes(data[:-1])
    assert (command("audit", "--memory").exit_code, command("run", "--json").summary["requests"]) == (2, 0)
    assert copy.read_bytes() == data
    assert command("audit", "--memory").exit_code == 0
    (part,) = objects(s3, pod, "snapshots/")
    s3.put(part.removeprefix(f"{stores.BUCKET}/"), data[:-1])
    assert command("audit", "--memory").exit_code == 2
    assert emulator.state()["requests"] == 5


def test_a_worker_without_a_disk_fetches_single_pages_of_a_long_memory(pod, emulator, s3):
    """One new row beside twenty thousand: the file of memory is not brought here, and the row alone is sent."""
    rows = "".join(f"{n},u{n},early,2025-01-01\n" for n in range(20_000))
    pod.write("events.csv", "n,user,what,at\n" + rows)
    pod.run()
    (part,) = objects(s3, pod, "snapshots/")
    pod.write("events.csv", "n,user,what,at\n7,u7,early,2025-01-01\n20000,u7,early,2025-01-01\n")
    counts = pod.run().summary["streams"]["events"]
    there = [file.name for file in pod.folder.glob(".bucket_loader/*/snapshots/*")]

    assert (counts["unchanged"], counts["delivered"]) == (1, 1)
    assert (len(there), Path(part).name in there) == (1, False)
    assert emulator.state()["events"] == 20_001


def test_memory_that_is_lost_on_a_disk_is_told_as_well(workplace, emulator):
    """The same in a folder."""
    workplace.write("accounts.csv", "id\na\n")
    workplace.pipeline(COMPANIES)
    workplace.run()
    shutil.rmtree(next(workplace.folder.glob(".bucket_loader/*/snapshots")))
    result = workplace.run()

    assert (result.exit_code, emulator.state()["requests"]) == (2, 1)
    assert "is missing" in result.stderr


def test_dead_letters_outlive_the_worker(pod, emulator, s3):
    """Those of planning and of the API, of the worker that began and of the one that went on, are one file again."""
    names = {12: "bad", 230: "worse"}
    rows = (
        f"{n},{'' if n == 7 else f'u{n}'},{names.get(n, 'late' if n > 150 else 'early')},2025-01-01\n"
        for n in range(250)
    )
    pod.write("events.csv", "n,user,what,at\n" + "".join(rows))
    refusing = {"kind": "poison", "match": '"bad"', "status": 400}
    emulator.faults(refusing, FAILING)
    first = pod.run()
    emulator.faults(refusing, {"kind": "poison", "match": '"worse"', "status": 400})
    (resumed,) = pod.run().summary["resumed"]
    run = first.summary["run"]
    (file,) = pod.folder.glob(f".bucket_loader/*/dead_letters/{run}.jsonl")

    assert (first.exit_code, resumed["run"]) == (75, run)
    assert sorted(json.loads(line)["row"]["n"] for line in file.read_text().splitlines()) == ["12", "230", "7"]
    status = json.loads(pod.command("status", "--json").stdout)["runs"]
    assert status[-1]["dead_letters"].startswith(s3.url(pod.prefix))
    emulator.faults()
    again = pod.command_of("replay", f"{run}.jsonl", "--pipeline", str(pod.folder / "pipeline.yaml"), "--json")
    assert again.summary["streams"]["events"]["delivered"] == 2


def test_the_end_of_a_run_lets_go_of_what_is_old_in_the_store(pod, emulator, s3):
    """Its plan, and its dead letters as its stream reads everything; the ledger on the server folds its chunks."""
    pod.pipeline(EVENTS, head="keep: 1ms\n", name=f"test-{pod.prefix}")
    emulator.faults({"kind": "poison", "match": '"early"', "status": 400})
    first = pod.run("--allow-rejected", "100%").summary["run"]
    emulator.faults()
    assert (len(objects(s3, pod, f"plans/{first}/")), bool(objects(s3, pod, f"dead_letters/{first}/"))) == (2, True)
    second = pod.run("--no-retry-refused", "--allow-rejected", "100%")

    assert "removed 1 plan and 1 dead-letter file (" in second.stderr
    assert (objects(s3, pod, f"plans/{first}/"), objects(s3, pod, f"dead_letters/{first}/")) == ([], [])
    audited = json.loads(pod.command("audit", first, "--json").stdout)
    assert (audited["records"], audited["findings"], len(audited["not_proved"])) == (450, [], 2)


def test_a_store_that_refuses_to_remove_changes_nothing_of_a_run(pod, s3, monkeypatch):
    """It is said, and the next run tries again."""
    pod.pipeline(EVENTS, head="keep: 1ms\n", name=f"test-{pod.prefix}")
    first = pod.run().summary["run"]
    with monkeypatch.context() as broken:
        broken.setattr(StoredFiles, "remove", _refuse)
        second = pod.run()

    assert (second.exit_code, "stays for now: the store refuses" in second.stderr) == (0, True)
    assert len(objects(s3, pod, f"plans/{first}/")) == 2
    assert pod.run().exit_code == 0
    assert objects(s3, pod, f"plans/{first}/") == []


def _refuse(*_words):
    raise StateError("the store refuses", hint="none")


def test_prune_empties_the_store_of_what_is_settled(pod, emulator, s3):
    """Old plans and dead letters go; memory and what is unfinished stay."""
    pod.run()
    pod.write("events.csv", "n,user,what,at\n900,u,late,2025-01-01\n901,,late,2025-01-01\n")
    run = interrupted(pod, emulator)
    told = json.loads(pod.command("prune", "--older-than", "0s", "--json").stdout)

    assert told == {"plans": 1, "dead_letters": 0}
    assert {path.split("/")[-2] for path in objects(s3, pod, "plans/")} == {run}
    assert len(objects(s3, pod, "snapshots/")) == 2  # the late record may have arrived: it is claimed
    assert pod.run().exit_code == 3
    assert json.loads(pod.command("prune", "--older-than", "0s", "--json").stdout) == {"plans": 2, "dead_letters": 2}
    assert pod.run("--allow-rejected", "1").summary["streams"]["events"]["unchanged"] == 1


def test_another_store_is_refused(pod, emulator, s3):
    """A ledger goes with its store: another place, or none, would look as if all memory were lost."""
    pod.run()
    right, database = pod.state, servers.postgres_url()
    for wrong in (f"{database} {s3.url('elsewhere')}", database):
        pod.state = wrong
        assert pod.run().exit_code == 2
    pod.state = right

    assert pod.run().exit_code == 0
    assert emulator.state()["requests"] == 5


def test_a_new_ledger_does_not_take_over_old_files(pod, emulator, s3):
    """A database that was lost, or is another one, beside a store of earlier runs is refused."""
    pod.run()
    with psycopg_connection() as connection:
        ((schema,),) = connection.execute(
            "SELECT nspname FROM pg_namespace WHERE nspname LIKE %s", (f"%{pod.prefix[:20]}%",)
        ).fetchall()
        connection.execute(f'DROP SCHEMA "{schema}" CASCADE')
    result = pod.run()

    assert (result.exit_code, emulator.state()["requests"]) == (2, 5)
    assert "do not belong together" in result.stderr


@contextmanager
def psycopg_connection():
    """Connect without the loader."""
    import psycopg

    with psycopg.connect(servers.postgres_url(), autocommit=True) as connection:
        yield connection


def test_expect_state_looks_on_the_server(pod):
    """Exit 2 before the first run, and it goes on after it."""
    assert pod.run("--expect-state").exit_code == 2
    assert pod.run().exit_code == 0
    assert pod.run("--expect-state").exit_code == 0


@pytest.mark.postgres
def test_a_ledger_on_a_server_keeps_files_in_the_folder(workplace, emulator):
    """Without a store nothing else changes: memory is in the folder, the ledger is not."""
    workplace.write("accounts.csv", "id\na\n")
    workplace.pipeline(COMPANIES, name=f"local-{uuid4().hex}")
    runs = [workplace.run("--state", servers.postgres_url()) for _ in range(2)]

    assert [run.summary["requests"] for run in runs] == [1, 0]
    assert list(workplace.folder.glob(".bucket_loader/*/snapshots/*.pages"))
    assert not list(workplace.folder.glob(".bucket_loader/*/ledger.db"))


@pytest.mark.postgres
def test_a_folder_with_a_ledger_is_not_passed_over(workplace, emulator):
    """Who moves to a server, and leaves the memory behind, is stopped before everything is sent again."""
    workplace.write("accounts.csv", "id\na\n")
    workplace.pipeline(COMPANIES, name=f"moved-{uuid4().hex}")
    workplace.run()
    result = workplace.run("--state", servers.postgres_url())

    assert (result.exit_code, emulator.state()["requests"]) == (2, 1)
    assert "knows nothing of them" in result.stderr


# --- words ---------------------------------------------------------------------------------------------------------


def test_a_store_needs_a_ledger_that_others_see(workplace):
    """Exit 2, with what to add."""
    workplace.pipeline(COMPANIES)
    result = workplace.run("--state", "s3://bucket/prefix")

    assert result.exit_code == 2
    assert "--state postgresql://" in result.stderr


def test_a_password_of_a_state_is_never_shown(workplace, monkeypatch):
    """Neither in what is said nor in what is kept on disk."""
    monkeypatch.setattr("bucket_loader.state.ledger.connecting.FIRST_S", 0.0)
    workplace.pipeline(COMPANIES)
    workplace.write("accounts.csv", "id\na\n")
    secret = quote(servers.PASSWORD, safe="")
    shown = ""
    for url in (
        f"postgresql://u:{secret}@127.0.0.1:1/db",
        f"mysql://u:{secret}@host/db",
        f"postgresql://u:{secret}@[x/db",
    ):
        for command in ("run", "status", "prune"):
            result = workplace.command(command, "--json", "--state", url)
            assert result.exit_code in {2, 75}, result
            shown += result.stdout + result.stderr
    kept = "".join(str(path) for path in workplace.folder.rglob("*"))

    for text in (secret, servers.PASSWORD):
        assert text not in shown
        assert text not in kept


def test_places_are_told_apart(tmp_path):
    """A folder, a ledger and a store, each at most once; a URL that went through a `Path` is one all the same."""
    found = read_place(["postgres:/u@h/d", tmp_path, "s3://b/p"], tmp_path / "usual")

    assert found == StatePlace(tmp_path, "postgresql://u@h/d", "s3://b/p")
    assert read_place((), tmp_path) == read_place(None, tmp_path) == StatePlace(tmp_path)
    assert read_place("a b", tmp_path).folder.name == "a b"
    assert "u@h" not in repr(found)
    for wrong in (["a", "b"], ["s3://b/p"], ["ftp://x/y"]):
        with pytest.raises(UsageError):
            read_place(wrong, tmp_path)


def test_a_folder_of_the_variable_may_hold_blanks(workplace):
    """As it always could."""
    workplace.write("accounts.csv", "id\na\n")
    workplace.pipeline(COMPANIES)
    result = workplace.run(BUCKET_LOADER_STATE=str(workplace.folder / "my state"))

    assert result.exit_code == 0
    assert (workplace.folder / "my state").is_dir()


def test_a_second_copy_waits_as_long_as_it_is_told(workplace):
    """On a folder as on a server: refused at once by default, and after the wait when it is too short."""
    workplace.write("accounts.csv", "id\na\n")
    workplace.pipeline(COMPANIES)
    workplace.run()
    lock = next(workplace.folder.glob(".bucket_loader/*/lock")).open("rb")
    fcntl.flock(lock, fcntl.LOCK_EX)
    codes = [workplace.run(*words).exit_code for words in ((), ("--wait-for-lock", "200ms"))]
    threading.Timer(0.3, lock.close).start()

    assert codes == [75, 75]
    assert workplace.run("--wait-for-lock", "20s").exit_code == 0


def test_what_was_refused_is_remembered_in_the_store(pod, emulator, s3):
    """A worker on a new disk knows it; a copy there that is not what was written stops the run."""
    emulator.faults({"kind": "poison", "match": '"u7"', "status": 400})
    assert pod.run().exit_code == 3
    result = pod.run()
    (stored,) = [path for path in objects(s3, pod, "snapshots/") if path.endswith("-refused.parquet")]

    assert (result.summary["streams"]["events"]["refused_before"], result.exit_code) == (1, 3)
    assert json.loads(pod.command("audit", result.summary["run"], "--json").stdout)["sound"]
    with s3.files.open_output_stream(stored) as stream:
        stream.write(b"something else")
    assert pod.run().exit_code == 2


def dumped():
    """Return a dump of the whole server, as a backup has it."""
    found = subprocess.run(["pg_dump", "--clean", servers.postgres_url()], capture_output=True, check=True)
    return found.stdout


def restored(dump):
    """Put a dump back."""
    subprocess.run(["psql", "-q", servers.postgres_url()], input=dump, stdout=subprocess.DEVNULL, check=True)


@pytest.mark.parametrize("place", ["store", "folder"])
def test_a_ledger_that_was_restored_from_a_backup_is_noticed(pod, emulator, place):
    """Its mark lies in the store, or beside the plans in the folder: both are newer. A person may go on from it."""
    if place == "folder":
        pod.state = servers.postgres_url()
        pod.command_of = partial(Workplace.command_of, pod, BUCKET_LOADER_STATE=pod.state)
    pod.run()
    dump = dumped()
    pod.write("events.csv", (pod.folder / "events.csv").read_bytes() + b"900,u1,late,2025-01-01\n")
    newer, unchanged = pod.run(), pod.run()
    restored(dump)
    refused = pod.run()
    accepted, after = pod.run("--accept-restored"), pod.run()

    assert (newer.exit_code, unchanged.exit_code, refused.exit_code) == (0, 0, 2)
    assert "is an old copy of what it was: it knows of 1 run" in " ".join(refused.stderr.split())
    assert f"{'s3://' if place == 'store' else pod.folder}" in refused.stderr
    assert (accepted.exit_code, accepted.summary["streams"]["events"]["delivered"]) == (0, 1)
    assert (after.exit_code, emulator.state()["events"]) == (0, 452)
