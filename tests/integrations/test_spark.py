"""Plans that a real Spark cluster makes, rows that only Spark has, and what is left where something is killed.

One cluster, up for all tests. What they start works through Spark Connect, but for two commands: one in a local
session, one by `spark-submit`.
"""

import json
import os
import re
import signal
import sys
from collections import Counter
from pathlib import Path

import pytest
import servers
import text_export
from spark_cluster import PYTHON, cluster
from spark_export import AS_OF, digest_of, write_changes, write_export
from spark_work import (
    COMPARING,
    CUTTING,
    SELECTING,
    STAGING,
    SUBMIT,
    caught,
    finished,
    left_in,
    loader,
    pages_of,
    plan_words,
    planned_in,
    plans_in,
    start,
    summary_of,
    task_caught,
)
from tiers import ROOT, SPARK
from workplace import KEY, Emulator

from bucket_loader.emulator.http.server import running

pytestmark = [pytest.mark.spark, pytest.mark.timeout(600), pytest.mark.xdist_group("spark")]
HERE = Path(__file__).parent
LOCAL = (sys.executable, "-m", "bucket_loader")
REFUSING = {"kind": "poison", "match": "refuse me", "status": 400}
TABS = {"jobs", "stages", "environment", "executors", "SQL", "api"}
PLANTED = (KEY, "Né 41", "c000041", "u4177", servers.PASSWORD)


@pytest.fixture(scope="module")
def spark(tmp_path_factory):
    """Return a cluster."""
    with cluster(tmp_path_factory.mktemp("spark")) as found:
        yield found


@pytest.fixture(scope="module")
def export(tmp_path_factory):
    """Return the folder of an export and its pipeline file."""
    write_export(folder := tmp_path_factory.mktemp("export") / "files")
    return folder


@pytest.fixture(scope="module")
def alone(spark, export, tmp_path_factory):
    """Return the digest of the plan that one process of this machine makes."""
    state = tmp_path_factory.mktemp("alone")
    finished(start(spark, *LOCAL, *plan_words(export, state, "--processes", "1"), TZ="Pacific/Auckland"))
    return digest_of(planned_in(state))


@pytest.fixture
def bucket():
    """Return an emulator."""
    with running(secret_key=KEY, publishable_key="pub_test_0123456789abcdef") as endpoint:
        yield Emulator(endpoint.url)


# --- one plan, wherever it is made -----------------------------------------------------------------------------------


def test_a_plan_through_spark_connect_is_the_one_of_one_process(spark, export, alone, tmp_path):
    """The same parts, byte by byte, and rejections, in another zone. A task stood still: a copy of it counts, alone."""
    process = loader(spark, *plan_words(export, tmp_path), TZ="America/Lima", PYTHONHASHSEED="7")
    with task_caught(spark, process, tmp_path, SELECTING):
        finished(process)
    succeeded = [one for one in spark.attempts() if one.ended == "Success"]

    assert digest_of(planned_in(tmp_path)) == alone
    assert any(one.is_copy for one in succeeded)
    assert len({one.task for one in succeeded}) == len(succeeded)


@pytest.mark.postgres
def test_a_plan_by_spark_submit_is_sent_by_two_who_deliver(spark, export, alone, bucket, tmp_path):
    """The plan is the one of one process. What Spark shows while it works has no key, no password and no row."""
    environment = {"BUCKET_LOADER_STATE": f"{servers.postgres_url()} {tmp_path}", "url": bucket.url}
    conf = ["--conf", "spark.ui.enabled=true", "--conf", f"spark.ui.port={(port := servers.free_port())}"]
    words = ["plan", export / "pipeline.yaml", "--as-of", AS_OF, "--engine", "spark", "--json"]
    submit = [SPARK / "bin/spark-submit", "--master", spark.master, *conf, SUBMIT]
    process = start(spark, *submit, *words, **environment)
    with task_caught(spark, process, tmp_path, SELECTING):
        shown = pages_of(f"http://127.0.0.1:{port}")
    run = summary_of(process)["run"]

    assert {url.split("/")[3] for url in shown} >= TABS
    assert [url for url, page in shown.items() for secret in PLANTED if secret in page] == []
    assert digest_of(planned_in(tmp_path)) == alone
    words = ["deliver", export / "pipeline.yaml", run, "--allow-rejected", "5%", "--json"]
    told = [summary_of(one) for one in [start(spark, *LOCAL, *words, **environment) for _ in range(2)]]
    assert told[0]["streams"] == told[1]["streams"]
    assert bucket.state()["companies"] == told[0]["streams"]["companies"]["delivered"]


@pytest.mark.postgres
def test_a_run_of_a_local_session_is_sent_by_two_processes(spark, export, alone, bucket, tmp_path):
    """Without anything said of Spark a session of this machine plans; the senders are processes without Spark."""
    environment = {"BUCKET_LOADER_STATE": f"{servers.postgres_url()} {tmp_path}", "url": bucket.url}
    environment["PYSPARK_SUBMIT_ARGS"] = "--master local[2] pyspark-shell"
    words = ["run", export / "pipeline.yaml", "--as-of", AS_OF, "--engine", "spark", "--senders", "2"]
    words += ["--allow-rejected", "5%", "--json"]
    told = summary_of(start(spark, SPARK / "bin/bucket-loader", *words, **environment))

    assert digest_of(planned_in(tmp_path)) == alone
    assert bucket.state()["companies"] == told["streams"]["companies"]["delivered"]


def test_text_files_are_read_by_the_tasks_alone(spark, tmp_path):
    """CSV and JSON Lines with all that may be wrong in them: as three processes plan, by a driver that reads none."""
    text_export.write_texts(folder := tmp_path / "files")
    local, state = tmp_path / "local", tmp_path / "state"
    finished(start(spark, *LOCAL, *plan_words(folder, local, "--processes", "3")))
    words = [*plan_words(folder, state, "--engine", "spark")]
    finished(start(spark, PYTHON, "-c", text_export.BLIND, *words, SPARK_REMOTE=spark.remote, TZ="Asia/Kathmandu"))

    assert digest_of(planned_in(state)) == digest_of(planned_in(local))


# --- what goes wrong --------------------------------------------------------------------------------------------------


def test_executors_that_are_killed_change_nothing(spark, export, alone, tmp_path):
    """Killed while tasks stage, cut, compare and select: what they had begun is done again, elsewhere."""
    before = len(spark.attempts())
    process = loader(spark, *plan_words(export, tmp_path))
    for moment in (STAGING, CUTTING, COMPARING, SELECTING):
        with task_caught(spark, process, tmp_path, moment) as worker:
            os.kill(spark.executor_of(worker), signal.SIGKILL)
    finished(process)

    assert digest_of(planned_in(tmp_path)) == alone
    lost = {one.task[0] for one in spark.attempts()[before:] if one.ended == "ExecutorLostFailure"}
    assert len(lost) == 4


def test_ctrl_c_ends_the_planning_in_order(spark, export, tmp_path):
    """The tasks are given up, nothing is left of the plan, and the exit code says what happened."""
    process = loader(spark, "run", export / "pipeline.yaml", "--state", tmp_path)
    with task_caught(spark, process, tmp_path, STAGING):
        process.send_signal(signal.SIGINT)

        assert "interrupted" in finished(process, 130)[1]
    assert not list(tmp_path.glob("*/plans/*"))


def test_a_driver_that_is_killed_has_sent_nothing_before_the_manifest_and_loses_nothing_after_it(
    spark, bucket, tmp_path
):
    """Killed at each stage of planning: no plan, no request. Killed while it sends: what is sent again is named."""
    write_export(export := tmp_path / "files")
    words = ["run", export / "pipeline.yaml", "--state", tmp_path, "--as-of", AS_OF, "--allow-rejected", "5%", "--json"]
    for moment in moments_of_planning(spark, tmp_path):
        with moment(process := loader(spark, *words, url=bucket.url)):
            process.kill()
        process.communicate()
        assert not plans_in(tmp_path)
        assert bucket.state()["requests"] == 0

    bucket.faults(REFUSING, {"kind": "latency", "seconds": 0.2})
    process = loader(spark, *words, url=bucket.url)
    for kind in ("companies", "events"):
        with caught(process, lambda kind=kind: bucket.state()[kind]):
            process.kill()
        process.communicate()
        process = start(spark, *LOCAL, *words, url=bucket.url)
    nothing_was_lost_and_repeats_are_named(summary_of(process), bucket)
    assert not left_in(tmp_path)
    the_next_plan_is_the_same_with_what_is_remembered(spark, export, bucket, tmp_path)


def moments_of_planning(spark, state):
    """Return what stops a run while it stages, compares and selects, and when all is made but the manifest."""

    def is_there(*patterns):
        return all(any(state.glob(f"*/plans/*/{pattern}")) for pattern in patterns)

    def is_unfinished():
        return is_there("02-days*.parquet") and not is_there("manifest.json")

    return [
        lambda process: task_caught(spark, process, state, STAGING),
        lambda process: task_caught(spark, process, state, COMPARING),
        lambda process: task_caught(spark, process, state, SELECTING),
        lambda process: caught(process, is_unfinished),
    ]


def nothing_was_lost_and_repeats_are_named(told, bucket):
    """Hold what arrived against the summary of the run that was killed, and finished by the next command."""
    (streams,) = [resumed["streams"] for resumed in told["resumed"]]
    items = Counter(json.dumps(line["item"], sort_keys=True) for line in bucket.journal())
    for name, kind in (("companies", ("company", None)), ("usage", ("event", "used"))):
        arrived = [times for item, times in items.items() if kind_of(json.loads(item)) == kind]
        assert len(arrived) == streams[name]["delivered"]
        assert 0 < sum(times > 1 for times in arrived) <= streams[name]["possibly_duplicated"]


def kind_of(item):
    """Return what tells the items of a stream from others."""
    return item["type"], item.get("event")


def the_next_plan_is_the_same_with_what_is_remembered(spark, export, bucket, state):
    """Changed, gone and refused rows, a new file, values that are remembered: all as without Spark."""
    write_changes(export)
    words = plan_words(export, state, "--retry-refused")
    finished(loader(spark, *words, url=bucket.url))
    finished(start(spark, *LOCAL, *words, url=bucket.url))
    plans = plans_in(state)[-2:]

    assert digest_of(plans[0]) == digest_of(plans[1])
    companies, usage, _ = json.loads((plans[0] / "manifest.json").read_text("utf-8"))["streams"]
    assert min(companies[name] for name in ("removed", "refused", "changed", "unchanged", "superseded", "rejected"))
    assert len(companies["parts"]) > 1 < len(usage["parts"])
    assert companies["changed_fields"] == {"attributes.seats": companies["changed"]}


# --- rows of Spark ----------------------------------------------------------------------------------------------------


def test_rows_of_a_frame_are_loaded_once_and_then_what_changed(spark, bucket, tmp_path):
    """A DataFrame of Spark Connect is a table like others, in the order that is asked for."""
    answers = tmp_path / "answers.json"
    words = [PYTHON, HERE / "spark_rows.py", answers, bucket.url, ROOT / "docs/how-to/spark.md"]
    finished(start(spark, *words, url=bucket.url, SPARK_REMOTE=spark.remote))
    found = json.loads(answers.read_text("utf-8"))

    assert found["loaded"]["streams"]["a"]["delivered"] == 5000
    assert found["changed"]["streams"]["a"]["delivered"] == 1
    assert found["example"]["streams"]["accounts"]["delivered"] == 4999
    assert found["ordered"] == [1000, 5000]
    assert found["of files"] == [found["of files"][0]] * 2
    assert {name: code for name, (_, code) in found["refused"].items()} == dict.fromkeys(found["refused"], 2)
    assert "5,000 keys repeat with different contents" in found["refused"]["no order"][0]
    assert "needs a name" in found["refused"]["no name"][0]
    assert "for a DataFrame of Spark" in found["refused"]["order of another"][0]
    assert "nope" in found["refused"]["no such column"][0]
    rows_that_are_read_on_are_the_same_by_tasks_and_through_the_process(found, bucket)


def rows_that_are_read_on_are_the_same_by_tasks_and_through_the_process(found, bucket):
    """A backfill of three days, and a cursor behind which there is more than one part."""
    assert [window["streams"]["visits"]["delivered"] for window in found["backfill"]] == [300, 300, 300]
    assert bucket.state()["events"] == 1800
    assert found["read on"] == [250_001, 250_001]
    assert found["parts"] == 3
    assert found["digests"][0] == found["digests"][1]


# --- what Spark shows -------------------------------------------------------------------------------------------------


def test_spark_shows_and_logs_no_key_and_no_value_of_a_row(spark):
    """After all that: the pages of the Connect server, logs and events of Spark, and what all commands have said."""
    shown = pages_of(spark.shown)
    texts = [page.encode() for page in shown.values()]
    texts += [path.read_bytes() for path in spark.home.rglob("*") if path.is_file()]

    assert {url.split("/")[3] for url in shown} >= TABS | {"connect"}
    assert len(texts) > len(shown) + 10
    for secret in PLANTED:
        assert not [1 for text in texts if re.search(re.escape(secret.encode()), text)]
