"""A run from end to end: what is sent, what is remembered, what is left, and what the summary says of it."""

import fcntl
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from workplace import COMPANIES, KEY

from bucket_loader import BucketLoaderError, load

EVENTS = """
- name: events
  record: event
  source: {type: csv, path: events.csv}
  fields:
    userId: user
    event: what
    timestamp: {column: at, timezone: UTC}
"""


def test_ids_arrive_as_they_are_spelt(workplace, emulator):
    """Leading zeros, words that look like null, and numbers beyond 2^53 beside a blank are all kept."""
    workplace.write("accounts.csv", 'id\n00123\n123\nnull\nNA\n\n9007199254740993\n""\n1e5\n')
    workplace.pipeline(COMPANIES)

    result = workplace.run("--allow-rejected", "1")

    assert [item["item"]["companyId"] for item in emulator.journal()] == [
        "00123", "123", "null", "NA", "9007199254740993", "1e5",
    ]  # fmt: skip
    assert result.summary["streams"]["companies"]["rejected"] == 1
    assert result.exit_code == 0


def test_a_second_run_sends_only_what_changed(companies, emulator):
    """`sync: changes` remembers by itself: nothing changed, 0 requests; one cell edited, one record."""
    first = companies.run()
    second = companies.run()
    companies.write("accounts.csv", "id,name,seats\n00123,Acme,6\n123,Beta,7\nnull,Gamma,\n")
    third = companies.run()

    assert [result.summary["requests"] for result in (first, second, third)] == [1, 0, 1]
    assert third.summary["streams"]["companies"]["unchanged"] == 2
    assert emulator.journal()[-1]["item"]["attributes"] == {"name": "Acme", "seats": "6"}
    assert emulator.state()["companies"] == 3


def test_full_sends_every_company_again(companies):
    """`--full` ignores what is known."""
    companies.run()

    result = companies.run("--full")

    assert result.summary["streams"]["companies"]["delivered"] == 3


def test_the_last_valid_row_of_a_key_wins_whole(workplace, emulator):
    """Earlier rows are superseded; a bad last row leaves the valid one before it."""
    workplace.write("accounts.csv", "id,seats\na,1\na,2\nb,1\na,3\nb,x\n")
    workplace.pipeline(COMPANIES.replace('"*"', "{seats: {column: seats, type: integer}}"))

    counts = workplace.run().summary["streams"]["companies"]

    assert {item["item"]["companyId"]: item["item"]["attributes"] for item in emulator.journal()} == {
        "a": {"seats": 3}, "b": {"seats": 1},
    }  # fmt: skip
    assert (counts["read"], counts["delivered"], counts["superseded"], counts["rejected"]) == (5, 2, 2, 1)


def test_equal_events_are_two_and_a_second_load_sends_none(workplace, emulator):
    """Without `key:` the content and its occurrence identify: an export loaded twice sends nothing the second time."""
    workplace.write("events.csv", "user,what,at\nu,a,2025-01-01T00:00:00\nu,a,2025-01-01T00:00:00\nv,b,2025-01-02\n")
    workplace.pipeline(EVENTS)

    first, second = workplace.run(), workplace.run()
    workplace.write("events.csv", "user,what,at\nu,a,2025-01-01\nu,a,2025-01-01\nu,a,2025-01-01\nv,b,2025-01-02\n")
    third = workplace.run()

    assert [r.summary["streams"]["events"]["delivered"] for r in (first, second, third)] == [3, 0, 1]
    assert emulator.state()["events"] == 4


def test_a_changed_mapping_of_keyless_events_is_refused(workplace, emulator):
    """It would send history again: exit 2 until it is accepted."""
    workplace.write("events.csv", "user,what,at\nu,a,2025-01-01\n")
    workplace.pipeline(EVENTS)
    workplace.run()
    workplace.pipeline(EVENTS.replace("event: what", 'event: {sql: "upper(what)"}'))

    refused, accepted = workplace.run(), workplace.run("--accept-mapping")

    assert (refused.exit_code, accepted.exit_code) == (2, 0)
    assert "--accept-mapping" in refused.stderr
    assert emulator.state()["events"] == 2


def test_rejected_rows_go_to_the_dead_letters_with_their_place_and_reason(workplace):
    """Exit 3; each entry has origin, stage, reasons and the row; the file is its owner's alone."""
    workplace.write("events.csv", "user,what,at\nu,a,2025-01-01\n,b,2025-02-31\nv,c,2025-01-02,extra\n")
    workplace.pipeline(EVENTS)

    result = workplace.run()
    letters = workplace.dead_letters(result)

    assert result.exit_code == 3
    mapped, unread = sorted(letters, key=lambda letter: letter["origin"]["row"])
    assert (mapped["stage"], mapped["origin"]["row"]) == ("map", 2)
    assert (unread["stage"], unread["origin"]["row"]) == ("read", 3)
    assert {reason["code"] for reason in mapped["reasons"]} == {"missing", "timestamp"}
    assert mapped["row"] == {"user": None, "what": "b", "at": "2025-02-31"}
    assert Path(result.summary["dead_letters"]).is_absolute()
    assert Path(result.summary["dead_letters"]).stat().st_mode & 0o777 == 0o600


def test_what_the_api_refuses_is_isolated_with_its_own_words(workplace, emulator, quick):
    """One record of a chunk brings errors; the others are delivered, the one is a dead letter with the details."""
    workplace.write("events.csv", "user,what,at\n" + "".join(f"u{n},e,2025-01-01\n" for n in range(400)))
    workplace.pipeline(EVENTS)
    emulator.faults({"kind": "poison", "match": '"userId":"u17"'})

    result = workplace.run("--patience", "30s")
    (letter,) = workplace.dead_letters(result)

    assert result.summary["streams"]["events"]["delivered"] == 399
    assert letter["record"]["userId"] == "u17"
    assert letter["stage"] == "deliver"
    assert letter["response"]["status"] == 500
    assert letter["row"]["user"] == "u17"


@pytest.mark.parametrize(
    ("limits", "rows", "stopped"),
    [
        ("{rejected: 10%}", 2, True),
        ("{rejected: 50%}", 2, False),
        ("{rejected: 1}", 2, True),
        ("{rejected: 2}", 2, False),
    ],
)
def test_too_many_rejected_rows_stop_the_run_before_it_sends(limits, rows, stopped, workplace, emulator):
    """`limits: rejected` counts what planning rejects; over it, exit 4 and no request."""
    bad = "".join(f",x{n}\n" for n in range(rows))
    workplace.write("accounts.csv", "id,name\n" + bad + "".join(f"{n},y\n" for n in range(8)))
    workplace.pipeline(COMPANIES, head=f"limits: {limits}\n")

    result = workplace.run()

    assert result.exit_code == (4 if stopped else 3)
    assert (emulator.state()["requests"] == 0) is stopped
    assert len(workplace.dead_letters(result)) == rows


def test_a_mapping_mistake_that_changes_every_company_is_stopped(companies, emulator):
    """`limits: changed` compares with what was delivered; `--accept-changes` goes on."""
    companies.run()
    companies.pipeline(COMPANIES.replace('"*"', '{"*": {exclude: [name]}}'), head="limits: {changed: 50%}\n")

    stopped = companies.run()
    accepted = companies.run("--accept-changes")

    assert (stopped.exit_code, stopped.summary["streams"]["companies"]["pending"]) == (4, 3)
    assert "--accept-changes" in stopped.stderr
    assert accepted.exit_code == 0
    assert accepted.summary["streams"]["companies"]["delivered"] == 3


def test_an_interrupted_outage_is_finished_by_the_next_run(companies, emulator):
    """Exit 75 leaves all pending; the next run finishes that plan first, then plans its own."""
    emulator.faults({"kind": "cut_before"})
    first = companies.run()
    emulator.faults()

    second = companies.run()

    assert first.exit_code == 75
    assert second.exit_code == 0
    (resumed,) = second.summary["resumed"]
    assert (resumed["run"], resumed["streams"]["companies"]["delivered"]) == (first.summary["run"], 3)
    assert second.summary["streams"]["companies"]["unchanged"] == 3
    assert emulator.state()["companies"] == 3


def test_abandon_returns_unsent_rows_to_the_next_plan(companies, emulator):
    """An abandoned run is not finished; its rows are planned again."""
    first = companies.run(BUCKET_SECRET_KEY="sec_test_wrong_0123456789")

    abandoned = companies.command("abandon", first.summary["run"], "--json")
    second = companies.run()

    assert abandoned.exit_code == 0
    assert second.summary["resumed"] == []
    assert second.summary["streams"]["companies"]["delivered"] == 3
    statuses = json.loads(companies.command("status", "--json").stdout)["runs"]
    assert [run["status"] for run in statuses] == ["succeeded", "abandoned"]


def test_a_plan_is_sent_as_it_was_shown(companies, emulator):
    """`plan` sends nothing; `run --plan` sends that plan although the source is gone."""
    planned = companies.command("plan", "--json", "--show", "5")
    folder = json.loads(planned.stdout.splitlines()[-1])["plan"]
    (companies.folder / "accounts.csv").unlink()
    before = emulator.state()["requests"]

    result = companies.run("--plan", folder)

    assert '"companyId":"00123"' in planned.stderr
    assert before == 0
    assert result.summary["streams"]["companies"]["delivered"] == 3


def test_a_plan_that_a_later_run_overtook_is_refused(companies):
    """What a later run delivered is never overwritten by an older plan."""
    folder = json.loads(companies.command("plan", "--json").stdout.splitlines()[-1])["plan"]
    companies.run()

    result = companies.run("--plan", folder)

    assert result.exit_code == 2
    assert "out of date" in result.stderr


def test_the_as_of_time_is_the_timestamp_of_records_without_one(companies, emulator):
    """It is sent as the API's examples spell it, and takes no part in comparing."""
    companies.run("--as-of", "2026-01-02T03:04:05.678901+01:00")
    again = companies.run("--as-of", "2026-05-01")

    assert {item["item"]["timestamp"] for item in emulator.journal()} == {"2026-01-02T02:04:05.678Z"}
    assert again.summary["requests"] == 0


def test_an_interval_is_bound_in_queries_and_paths(workplace, emulator):
    """`:interval_start` is a parameter, `{interval_start:...}` fills a path; the end is the as-of time."""
    workplace.write("events-2025-01.csv", "user,what,at\nu,a,2025-01-05\nv,b,2025-01-20\n")
    stream = EVENTS.replace(
        "{type: csv, path: events.csv}",
        '{type: query, sql: "select * from e where \\"at\\" >= cast(:interval_start as date)::varchar"}',
    )
    head = 'sources:\n  e: {type: csv, path: "events-{interval_start:%Y-%m}.csv"}\n'
    workplace.pipeline(stream, head=head)

    result = workplace.run("--interval-start", "2025-01-10", "--interval-end", "2025-02-01")

    assert result.exit_code == 0
    assert [item["item"]["userId"] for item in emulator.journal()] == ["v"]
    assert result.summary["as_of"] == "2025-02-01T00:00:00.000Z"


def test_limit_reads_only_so_many_rows(companies):
    """`--limit 2` plans the first two rows of each stream."""
    result = companies.run("--limit", "2")

    assert result.summary["streams"]["companies"]["delivered"] == 2


def test_streams_are_delivered_by_kind_and_one_may_be_chosen(companies, emulator):
    """Companies go before events, whatever the file's order; `--stream` takes one alone."""
    companies.write("events.csv", "user,what,at\nu,a,2025-01-01\n")
    companies.pipeline(EVENTS + COMPANIES)

    chosen = companies.run("--stream", "events")
    companies.run()

    assert list(chosen.summary["streams"]) == ["events"]
    assert [item["type"] for item in emulator.journal()] == ["event", "company", "company", "company"]


def test_nothing_to_do_can_be_its_own_exit_code(companies):
    """`--exit-99-when-empty` is what Airflow reads as skipped."""
    first = companies.run("--exit-99-when-empty")
    second = companies.run("--exit-99-when-empty")

    assert (first.exit_code, second.exit_code) == (0, 99)


def test_two_runs_on_one_state_are_refused(companies):
    """The second copy ends with 75 and says that another is running."""
    companies.run()
    (root,) = (companies.folder / ".bucket_loader").iterdir()
    lock = f"f = open({str(root / 'lock')!r}, 'ab'); fcntl.flock(f, fcntl.LOCK_EX)"
    script = f"import fcntl, time; {lock}; print(1, flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as other:
        other.stdout.readline()

        result = companies.run()
        other.kill()

    assert result.exit_code == 75
    assert "another copy is running" in result.stderr


def test_status_can_be_asked_while_a_run_is_going_on(companies):
    """`status` takes no lock and needs no key."""
    companies.run()
    (root,) = (companies.folder / ".bucket_loader").iterdir()
    with (root / "lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)

        found = companies.command("status", "--json", BUCKET_SECRET_KEY="")

    assert found.exit_code == 0
    assert json.loads(found.stdout)["runs"][0]["status"] == "succeeded"


def test_expect_state_refuses_to_start_without_any(companies):
    """A worker that lost its disk does not send everything again by accident."""
    refused = companies.run("--expect-state")
    companies.run()

    assert refused.exit_code == 2
    assert companies.run("--expect-state").exit_code == 0


def test_another_key_is_refused_until_it_is_said_to_be_rotated(companies, emulator):
    """Once something was delivered, another key is most likely another environment."""
    companies.run()

    refused = companies.run(BUCKET_SECRET_KEY="sec_test_other_0123456789")
    rotated = companies.run("--key-rotated", BUCKET_SECRET_KEY="sec_test_other_0123456789")

    assert refused.exit_code == 2
    assert "--key-rotated" in refused.stderr
    assert "belongs to another key" not in rotated.stderr
    assert (rotated.exit_code, "refused the key" in rotated.stderr) == (5, True)  # by the emulator: it knows only one


def test_a_source_that_changes_while_it_is_read_refuses_the_plan(companies, emulator, monkeypatch):
    """The fingerprint is taken again at the end: exit 2, nothing sent, no plan left behind."""
    from bucket_loader.planning import staging

    original = staging._staged

    def appended(*arguments):
        found = original(*arguments)
        with (companies.folder / "accounts.csv").open("a") as file:
            file.write("new,New,1\n")
        return found

    monkeypatch.setattr(staging, "_staged", appended)
    result = companies.run()

    assert result.exit_code == 2
    assert "changed while it was read" in result.stderr
    assert emulator.state()["requests"] == 0
    assert [path for path in companies.folder.glob(".bucket_loader/*/plans/*") if path.is_dir()] == []


@pytest.mark.long
def test_prune_removes_what_is_old_and_never_what_is_unfinished(companies, emulator):
    """Plans and dead letters go, memory stays, and an unfinished run keeps its plan."""
    companies.run()
    unfinished = companies.run("--full", BUCKET_BASE_URL=companies.url, BUCKET_SECRET_KEY=KEY, LANG="C")
    emulator.faults({"kind": "cut_before"})
    companies.write("accounts.csv", "id,name,seats\n7,Seven,7\n")
    unfinished = companies.run()
    emulator.faults()

    pruned = json.loads(companies.command("prune", "--older-than", "0s", "--json").stdout)
    plans = [path.name for path in companies.folder.glob(".bucket_loader/*/plans/*")]
    again = companies.run()

    assert pruned["plans"] == 2
    assert plans == [unfinished.summary["run"]]
    assert again.exit_code == 0
    assert again.summary["resumed"][0]["streams"]["companies"]["delivered"] == 1


def test_the_state_is_readable_by_its_owner_only(companies):
    """Plans, ledger and folder hold row data or hashes of ids: the folder is closed, and so is each file in it."""
    companies.run()

    folders = {path.stat().st_mode & 0o077 for path in companies.folder.glob(".bucket_loader/*")}
    files = {path.stat().st_mode & 0o077 for path in companies.folder.glob(".bucket_loader/*/plans/*/*")}

    assert (folders, files) == ({0}, {0})


def test_a_frame_is_loaded_with_the_same_engine(tmp_path, emulator):
    """`load(frame, ...)` maps, delivers and remembers like a pipeline; ids survive, NaN is null."""
    frame = pd.DataFrame(
        {"id": ["00123", "2"], "seats": [5.0, float("nan")], "when": pd.to_datetime(["2025-01-01", None], utc=True)}
    )
    words = {
        "record": "company", "fields": {"companyId": "id", "attributes": "*"}, "state": tmp_path, "name": "seats",
        "destination": {"base_url": emulator.url, "key": KEY},
    }  # fmt: skip

    summary, again = load(frame, **words), load(frame, **words)

    assert summary.exit_code == 0
    assert [item["item"].get("attributes") for item in emulator.journal()] == [
        {"seats": 5, "when": "2025-01-01T00:00:00.000Z"}, None,
    ]  # fmt: skip
    assert again.requests == 0
    assert summary.to_frame().loc[0, "delivered"] == 2


def test_a_summary_can_raise(tmp_path, emulator):
    """`raise_for_status` raises what the command line would have exited with."""
    summary = load(
        pd.DataFrame({"id": ["1", None]}), record="user", fields={"userId": "id"}, state=tmp_path, name="x",
        destination={"base_url": emulator.url, "key": KEY},
    )  # fmt: skip

    with pytest.raises(BucketLoaderError) as caught:
        summary.raise_for_status()

    assert caught.value.exit_code == 3


def test_a_wait_that_is_longer_than_patience_ends_the_run_at_once(companies, emulator):
    """The API names an hour and patience is a second: exit 75 now, with the hour; nothing is lost."""
    emulator.faults({"kind": "status", "status": 429, "retry_after": 3_600, "times": 1})
    first = companies.run()
    emulator.faults()
    second = companies.run()

    assert (first.exit_code, first.summary["requests"], "3,600 s" in first.stderr) == (75, 1, True)
    assert first.summary["seconds"] < 5
    assert (second.exit_code, emulator.state()["companies"]) == (0, 3)


def test_a_signal_drains_and_the_next_run_continues(workplace, emulator):
    """SIGTERM while a run is sending: exit 143, nothing unknown, and running again delivers the rest."""
    workplace.write("events.csv", "user,what,at\n" + "".join(f"u{n},e,2025-01-01\n" for n in range(4_000)))
    workplace.pipeline(EVENTS)
    emulator.faults({"kind": "latency", "seconds": 0.3})
    environment = {"BUCKET_BASE_URL": workplace.url, "BUCKET_SECRET_KEY": KEY, "PATH": "/usr/bin:/bin"}
    words = [sys.executable, "-m", "bucket_loader", "run", "pipeline.yaml", "--json"]
    with subprocess.Popen(
        words, cwd=workplace.folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        while emulator.state()["requests"] == 0 and process.poll() is None:
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        stdout, _stderr = process.communicate(timeout=60)
    emulator.faults()
    summary = json.loads(stdout.splitlines()[-1])

    second = workplace.run()

    assert (process.returncode, summary["status"]) == (143, "interrupted")
    assert summary["streams"]["events"]["unknown"] == 0
    assert summary["streams"]["events"]["pending"] > 0
    assert second.exit_code == 0
    assert emulator.state()["events"] == 4_000
