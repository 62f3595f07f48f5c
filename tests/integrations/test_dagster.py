"""A real Dagster, with its webserver and daemon, loads pipelines into an emulator.

One Dagster and one story, since its processes cost seconds each: a project that the commands and examples of the docs
make; a backfill whose step is killed in the middle; a run that a person terminates; a key that is wrong; rejected rows.
It is one test, so that no two workers tell the same story.
"""

import csv
import json
import os
import re
import shlex
import signal
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from dagster_box import COMPONENT, ROOT, Box
from workplace import KEY, Emulator

from bucket_loader.emulator.http.server import running

WRONG_KEY = "sec_wrong_0123456789abcdef0123"
USED = "bucket/event/daily_usage"
NIGHTLY, ACCOUNTS, REFUSED = "bucket/company/nightly", "bucket/company/accounts", "wrong/key/company/accounts"
DAYS = ["2026-01-01", "2026-01-02", "2026-01-03", "2026-01-04"]
LAST_DAY = "2026-01-05"
ROWS = 600  # a day's
CHUNK = 20  # records
AT_ONCE = 2  # chunks
KILLED_AFTER = 10  # requests, of 30 a day
DOCS = (ROOT / "docs" / "dagster.md").read_text("utf-8")
ASSETS = """
import dagster as dg
from bucket_loader.integrations.dagster import BucketLoaderResource, bucket_assets

SOON = dg.RetryPolicy(max_retries=3, delay=1)


@bucket_assets(
    pipeline="pipelines/daily.yaml",
    deps=["raw_usage"],
    partitions_def=dg.DailyPartitionsDefinition("2026-01-01", end_date="2026-01-10"),
    backfill_policy=dg.BackfillPolicy.multi_run(max_partitions_per_run=2),
    retry_policy=SOON,
)
def daily(context: dg.AssetExecutionContext, bucket: BucketLoaderResource):
    yield from bucket.load(context)


@bucket_assets(pipeline="pipelines/accounts.yaml", key_prefix=["wrong", "key"], retry_policy=SOON)
def refused(context: dg.AssetExecutionContext, wrong: BucketLoaderResource):
    yield from wrong.load(context)


@bucket_assets(pipeline="pipelines/modelled.yaml")
def modelled(context: dg.AssetExecutionContext, bucket: BucketLoaderResource):
    yield from bucket.load(context)


def refusal(make):
    try:
        make()
    except dg.DagsterInvalidDefinitionError as error:
        return str(error)


REFUSALS = {
    "literal_key": lambda: BucketLoaderResource(key="sec_in_the_code").get_resource_definition(),
    "not_of_time": lambda: bucket_assets(
        pipeline="pipelines/usage.yaml", partitions_def=dg.StaticPartitionsDefinition(["eu", "us"])
    ),
    "no_such_stream": lambda: bucket_assets(pipeline="pipelines/usage.yaml", deps={"usages": ["raw"]}),
    "no_such_file": lambda: bucket_assets(pipeline="pipelines/usages.yaml"),
}
told = [dg.AssetSpec(name, description=refusal(make)) for name, make in REFUSALS.items()]
wrong = BucketLoaderResource(key=dg.EnvVar("WRONG_KEY"), environment="other")
defs = dg.Definitions(assets=[daily, refused, modelled, *told], resources={"wrong": wrong})
"""
PIPELINE = """
name: {name}
destination:
  base_url: ${{BUCKET_BASE_URL}}
  key: ${{BUCKET_SECRET_KEY}}
  environment: ${{BUCKET_ENVIRONMENT:-production}}
  chunk: {{records: {chunk}}}
  concurrency: {at_once}
streams:
"""
EVENTS = """
  - name: {name}
    record: event
    source: {{type: csv, path: "usage-{{interval_start:%Y-%m-%d}}.csv"}}
    key: [id]
    fields: {{userId: user, event: {{value: used}}, timestamp: at, attributes: {{id: id}}}}
"""
COMPANIES = """
  - name: {name}
    record: company
    source: {source}
    fields: {{companyId: id, attributes: "*"}}
"""
DBT = "{type: dbt, model: dim_accounts, manifest: manifest.json, url: '${WAREHOUSE_URL}'}"
MODEL = {
    "name": "dim_accounts", "resource_type": "model", "package_name": "shop", "unique_id": "model.shop.dim_accounts",
    "relation_name": '"db"."marts"."dim_accounts"', "config": {"materialized": "table", "schema": "marts"},
}  # fmt: skip

pytestmark = [pytest.mark.timeout(600), pytest.mark.dagster]


@dataclass
class Story:
    """What happened in one Dagster, told by what it and the emulator remember."""

    listed: str
    assets: dict
    backfill: list
    ids: Counter
    terminated: object
    drained: int
    continued: object
    all_ids: Counter
    others: object
    looked: object
    requests: tuple[int, int]
    files: list[Path]


def test_dagster_loads_retries_and_gives_up_as_the_run_says(tmp_path):
    """A backfill loads; what is killed goes on; a wrong key fails at once; what `dg` scaffolds loads, too."""
    box = Box(tmp_path)
    with running(secret_key=KEY, publishable_key="pub_test_0123456789") as endpoint:
        emulator = Emulator(endpoint.url)
        box.variables |= {
            "BUCKET_BASE_URL": endpoint.url, "BUCKET_SECRET_KEY": KEY, "WRONG_KEY": WRONG_KEY,
            "BUCKET_LOADER_STATE": str(box.home / "state"),
        }  # fmt: skip
        write_project(box)
        listed = box.dg(*commands_of_the_docs(), ["scaffold", "defs", COMPONENT, "first"], ["check", "defs"])
        with box.services():
            story = tell(box, emulator, listed)

    the_component_is_listed_and_scaffolded(story)
    the_assets_know_what_is_upstream(story)
    what_cannot_be_is_refused_when_the_definitions_are_loaded(story)
    the_backfill_loaded_each_row_and_names_what_came_twice(story)
    the_terminated_run_drained_and_the_next_one_went_on(story)
    the_wrong_key_failed_at_the_first_try(story)
    the_rejected_row_failed_its_check_and_the_rest_is_loaded(story)
    a_check_alone_loads_nothing(story)
    no_key_and_no_row_is_in_what_dagster_keeps(story)


# --- the story -----------------------------------------------------------------------------------------------------


def commands_of_the_docs():
    """Return the commands of `dg` that the docs show, in an order that ends with looking."""
    lines = re.findall(r"^dg (.*)$", DOCS, re.MULTILINE)
    assert [line.split()[0] for line in lines] == ["list", "scaffold", "check"]
    return [shlex.split(line.partition("|")[0]) for line in lines[:2]]


def write_project(box):
    """Write exports, pipelines and definitions; the examples of the docs among them."""
    box.make_project()
    pipelines = box.project / "pipelines"
    pipelines.mkdir()
    for day in [*DAYS, LAST_DAY]:
        with (pipelines / f"usage-{day}.csv").open("w", newline="") as file:
            out = csv.writer(file)
            out.writerow(["id", "user", "at"])
            out.writerows([f"{day}-{number}", f"u{number % 7}", f"{day}T01:00:00Z"] for number in range(ROWS))
    (pipelines / "accounts.csv").write_text("id,plan\na1,never-told\n,never-told\na3,never-told\n", "utf-8")
    manifest = {
        "metadata": {"dbt_schema_version": "https://schemas.getdbt.com/dbt/manifest/v12.json"},
        "nodes": {MODEL["unique_id"]: MODEL},
    }
    (pipelines / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    accounts = "{type: csv, path: accounts.csv}"
    for name, streams in {
        "daily": EVENTS.format(name="daily usage"),
        "usage": EVENTS.format(name="usage"),
        "accounts": COMPANIES.format(name="accounts", source=accounts),
        "nightly": COMPANIES.format(name="nightly", source=accounts),
        "modelled": COMPANIES.format(name="modelled", source=DBT),
    }.items():
        text = PIPELINE.format(name=name, chunk=CHUNK, at_once=AT_ONCE) + streams
        (pipelines / f"{name}.yaml").write_text(text, "utf-8")
    (box.defs / "assets.py").write_text(ASSETS, "utf-8")
    write_examples(box, pipelines / "usage.yaml")


def write_examples(box, usage):
    """Put the docs' examples among the definitions."""
    first, second = re.findall(r"```python\n(.*?)```", DOCS, re.DOTALL)
    imports = "".join(line + "\n" for line in first.splitlines() if "import" in line)
    (box.defs / "first_example.py").write_text(first, "utf-8")
    (box.defs / "second_example.py").write_text(imports + second, "utf-8")
    (component,) = re.findall(r"```yaml\n(type: .*?)```", DOCS, re.DOTALL)
    folder = box.defs / "example"
    folder.mkdir()
    (folder / "defs.yaml").write_text(component, "utf-8")
    (folder / "usage.yaml").write_text(usage.read_text("utf-8"), "utf-8")


def tell(box, emulator, listed):
    """Backfill and kill, terminate and go on, be refused, have a row rejected, and ask for a check alone."""
    assets = box.assets()
    with slow(emulator):
        tags = box.backfill(USED, DAYS)
        kill(box, emulator)
    backfill, ids = box.ended(count=2, tags=tags), ids_in(emulator)
    with slow(emulator):
        run, before = box.materialize(USED, partition=LAST_DAY), emulator.state()["events"]
        box.wait("its first events", lambda: emulator.state()["events"] > before + CHUNK)
        box.terminate(run)
        (terminated,) = box.ended(runIds=[run])
    drained = emulator.state()["events"] - before
    runs = [
        box.materialize(USED, partition=LAST_DAY, in_process=True),
        box.materialize(REFUSED, NIGHTLY, in_process=True),
    ]
    continued, others = (box.ended(runIds=[run])[0] for run in runs)
    requests = emulator.state()["requests"]
    (looked,) = box.ended(runIds=[box.materialize(checks=[(NIGHTLY, "audit"), (NIGHTLY, "rejected")], in_process=True)])
    return Story(
        listed, assets, backfill, ids, terminated, drained, continued, ids_in(emulator), others, looked,
        (requests, emulator.state()["requests"]), [file for file in box.home.rglob("*") if file.is_file()],
    )  # fmt: skip


@contextmanager
def slow(emulator):
    """Let every request take its time."""
    emulator.faults({"kind": "latency", "seconds": 0.2})
    yield
    emulator.faults()


def kill(box, emulator):
    """Kill the step that sends, with nothing that it could do about it."""
    box.wait("the first requests", lambda: emulator.state()["requests"] > KILLED_AFTER)
    os.kill(owner_of(next(box.home.glob("state/daily*/lock"))), signal.SIGKILL)


def owner_of(lock):
    """Return the process that has a state's lock; the other run of the backfill waits for it."""
    locked = f":{lock.stat().st_ino}"
    rows = [row.split() for row in Path("/proc/locks").read_text().splitlines()]
    return next(int(row[4]) for row in rows if row[1] == "FLOCK" and row[5].endswith(locked))


def ids_in(emulator):
    """Return how often each event arrived."""
    return Counter(one["item"]["attributes"]["id"] for one in emulator.journal() if one["type"] == "event")


# --- what holds ----------------------------------------------------------------------------------------------------


def the_component_is_listed_and_scaffolded(story):
    """`dg list components` shows it, and both that `dg scaffold` wrote are there, with those of the docs."""
    assert "BucketPipelineComponent" in story.listed
    written = {ACCOUNTS, "bucket/company/first", "bucket/event/usage", "bucket/staging/event/usage", NIGHTLY}
    assert written | {USED, REFUSED} <= story.assets.keys()


def the_assets_know_what_is_upstream(story):
    """By `deps`, and by the model of dbt that a stream reads; each has its checks, and its pipeline a pool."""

    def upstream(key):
        return ["/".join(one["path"]) for one in story.assets[key]["dependencyKeys"]]

    assert upstream(USED) == ["raw_usage"]
    assert upstream("bucket/company/modelled") == ["marts/dim_accounts"]
    assert upstream(NIGHTLY) == []
    assert upstream("bucket/staging/event/usage") == ["raw/usage"]
    assert {one["name"] for one in story.assets[USED]["assetChecksOrError"]["checks"]} == {"rejected", "audit"}
    assert story.assets[USED]["pools"] == ["bucket_daily"]


def what_cannot_be_is_refused_when_the_definitions_are_loaded(story):
    """A key in the code, partitions of anything but time, `deps` of no stream, a file that is not there."""
    told = {name: story.assets[name]["description"] for name in ("literal_key", "not_of_time")}
    assert 'write key=dg.EnvVar("BUCKET_SECRET_KEY")' in told["literal_key"]
    assert "sec_in_the_code" not in told["literal_key"]
    assert "partitions are of time" in told["not_of_time"]
    assert "'usages', and pipeline 'usage' has: usage" in story.assets["no_such_stream"]["description"]
    assert "did you mean `" in story.assets["no_such_file"]["description"]


def the_backfill_loaded_each_row_and_names_what_came_twice(story):
    """Two runs of two partitions each: a step killed in the middle was retried; nothing is lost, repeats are named."""
    assert [run.status for run in story.backfill] == ["SUCCESS", "SUCCESS"]
    assert sum(len(run.of("ExecutionStepUpForRetryEvent")) for run in story.backfill) == 1
    materialized = {key: values for run in story.backfill for key, values in run.materialized.items()}
    assert materialized.keys() == {(USED, day) for day in DAYS}
    assert story.ids.keys() == {f"{day}-{number}" for day in DAYS for number in range(ROWS)}
    assert [values["dagster/row_count"] for values in materialized.values()] == [ROWS] * len(DAYS)
    repeated = sum(story.ids.values()) - len(story.ids)
    named = sum(values["bucket/possibly_duplicated"] for values in materialized.values())
    assert repeated <= named <= AT_ONCE * CHUNK
    assert named > 0
    assert all(one["success"] for run in story.backfill for one in run.checks.values())


def the_terminated_run_drained_and_the_next_one_went_on(story):
    """What was in flight arrived, the rest waited; then all of it is there once."""
    assert story.terminated.status == "CANCELED"
    assert CHUNK <= story.drained < ROWS
    assert not story.terminated.materialized
    assert story.continued.status == "SUCCESS"
    values = story.continued.materialized[(USED, LAST_DAY)]
    assert values["dagster/row_count"] == values["dagster/partition_row_count"] == ROWS
    assert {one for one in story.all_ids if one.startswith(LAST_DAY)} == {f"{LAST_DAY}-{n}" for n in range(ROWS)}
    assert not any(count > 1 for one, count in story.all_ids.items() if one.startswith(LAST_DAY))


def the_wrong_key_failed_at_the_first_try(story):
    """It failed for good, and the key is not told."""
    assert story.others.status == "FAILURE"
    assert not story.others.of("ExecutionStepUpForRetryEvent")
    failures = {one["stepKey"]: one["error"]["message"] for one in story.others.of("ExecutionStepFailureEvent")}
    assert "exit 5; not retried" in failures["refused"]


def the_rejected_row_failed_its_check_and_the_rest_is_loaded(story):
    """Exit 3: the asset is materialized, its check says how many and why, and the step fails."""
    failures = {one["stepKey"]: one["error"]["message"] for one in story.others.of("ExecutionStepFailureEvent")}
    assert "exit 3; not retried" in failures["nightly"]
    values = story.others.materialized[(NIGHTLY, None)]
    assert (values["bucket/read"], values["bucket/delivered"], values["bucket/rejected"]) == (3, 2, 1)
    check = story.others.checks[(NIGHTLY, "rejected")]
    assert (check["success"], check["severity"]) == (False, "ERROR")
    assert check["description"] == "1 of 3 rows were rejected"
    assert story.others.checks[(NIGHTLY, "audit")]["success"]


def a_check_alone_loads_nothing(story):
    """Dagster may ask for checks without their asset: they are of the last run, and nothing is sent."""
    assert story.looked.status == "SUCCESS"
    assert not story.looked.materialized
    assert story.looked.checks[(NIGHTLY, "audit")]["success"]
    assert not story.looked.checks[(NIGHTLY, "rejected")]["success"]
    assert story.requests[0] == story.requests[1]


def no_key_and_no_row_is_in_what_dagster_keeps(story):
    """Its databases and logs hold no key and no value of a row."""
    kept = [file for file in story.files if {"history", "storage", "schedules"} & {*file.parts}]
    assert len(kept) > 3
    for file in kept:
        content = file.read_bytes()
        assert not any(secret.encode() in content for secret in (KEY, WRONG_KEY, "never-told")), file
