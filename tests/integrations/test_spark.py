"""Plans that a real Spark cluster makes, and rows that only Spark has.

One cluster, up for all tests. What they start works through Spark Connect, but for two plans: one in a local session,
one by `spark-submit`.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
import text_export
from spark_cluster import PYTHON, cluster
from spark_export import AS_OF, digest_of, write_export
from tiers import ROOT, SPARK
from workplace import KEY, Emulator

from bucket_loader.emulator.http.server import running

pytestmark = [pytest.mark.spark, pytest.mark.timeout(600), pytest.mark.xdist_group("spark")]
HERE = Path(__file__).parent
SUBMIT = ROOT / "bucket_loader/integrations/spark/submit.py"
WAIT_S = 240  # of a busy machine


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
    words = ["-m", "bucket_loader", *plan_words(export, state, "--processes", "1")]
    finished(start(spark, sys.executable, *words, TZ="Pacific/Auckland"))
    return digest_of(planned_in(state))


@pytest.fixture
def bucket():
    """Return an emulator."""
    with running(secret_key=KEY, publishable_key="pub_test_0123456789") as endpoint:
        yield Emulator(endpoint.url)


def plan_words(export, state, *words):
    """Return the command that plans."""
    return ["plan", export / "pipeline.yaml", "--state", state, "--as-of", AS_OF, *words]


def planned_in(state):
    """Return the folder of the only plan of a state."""
    (folder,) = [path.parent for path in Path(state).glob("*/plans/*/manifest.json")]
    return folder


def start(spark, *words, url="http://127.0.0.1:9", **variables):
    """Start a program that works with Spark."""
    own = {"BUCKET_BASE_URL": url, "BUCKET_SECRET_KEY": KEY, "COLUMNS": "200"}
    environment = spark.environment(**own, **variables)
    return subprocess.Popen([*map(str, words)], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def loader(spark, *words, **more):
    """Start the command line, with Spark Connect."""
    return start(spark, SPARK / "bin/bucket-loader", *words, "--engine", "spark", SPARK_REMOTE=spark.remote, **more)


def finished(process, *codes):
    """Wait for a program, and return what it wrote on stderr."""
    stdout, stderr = process.communicate(timeout=WAIT_S)
    said = stdout.decode() + stderr.decode()
    assert process.returncode in (codes or (0,)), said
    return said


def seen(state, pattern):
    """Wait until a plan that is being made has some file."""
    deadline = time.monotonic() + WAIT_S
    while not any(Path(state).glob(f"*/plans/*/{pattern}")):
        assert time.monotonic() < deadline
        time.sleep(0.005)


# --- one plan, wherever it is made -----------------------------------------------------------------------------------


def test_a_plan_through_spark_connect_is_the_one_of_one_process(spark, export, alone, tmp_path):
    """The same parts, byte by byte, the same counts, and the same rejections in the same order, in another zone."""
    finished(loader(spark, *plan_words(export, tmp_path), TZ="America/Lima", PYTHONHASHSEED="7"))

    assert digest_of(planned_in(tmp_path)) == alone
    assert not list(planned_in(tmp_path).glob("attempts"))


def test_a_plan_by_spark_submit_is_the_one_of_one_process(spark, export, alone, tmp_path):
    """The file that the package has for it is the command line; the session is the one that it starts."""
    words = plan_words(export, tmp_path, "--engine", "spark")
    finished(start(spark, SPARK / "bin/spark-submit", "--master", spark.master, SUBMIT, *words))

    assert digest_of(planned_in(tmp_path)) == alone


def test_a_plan_of_a_local_session_is_the_one_of_one_process(spark, export, alone, tmp_path):
    """Without anything said of Spark a session of this machine plans."""
    words = plan_words(export, tmp_path, "--engine", "spark")
    finished(start(spark, SPARK / "bin/bucket-loader", *words, PYSPARK_SUBMIT_ARGS="--master local[2] pyspark-shell"))

    assert digest_of(planned_in(tmp_path)) == alone


def test_text_files_are_read_by_the_tasks_alone(spark, tmp_path):
    """CSV and JSON Lines with all that may be wrong in them: as three processes plan, by a driver that reads none."""
    text_export.write_texts(folder := tmp_path / "files")
    local, state = tmp_path / "local", tmp_path / "state"
    finished(start(spark, sys.executable, "-m", "bucket_loader", *plan_words(folder, local, "--processes", "3")))
    words = [*plan_words(folder, state, "--engine", "spark")]
    finished(start(spark, PYTHON, "-c", text_export.BLIND, *words, SPARK_REMOTE=spark.remote, TZ="Asia/Kathmandu"))

    assert digest_of(planned_in(state)) == digest_of(planned_in(local))


# --- what goes wrong --------------------------------------------------------------------------------------------------


def test_an_executor_that_is_killed_changes_nothing(spark, export, alone, tmp_path):
    """What it was staging is staged again, elsewhere; what it had written already does not exist."""
    process = loader(spark, *plan_words(export, tmp_path))
    seen(tmp_path, "attempts/*.staged")
    os.kill(spark.executors()[0], signal.SIGKILL)
    finished(process)

    assert digest_of(planned_in(tmp_path)) == alone
    assert not list(planned_in(tmp_path).glob("attempts"))


def test_a_task_that_stands_still_is_done_by_a_copy_of_it(spark, export, alone, tmp_path):
    """Two attempts write the same slice, each into its own file; one of them counts."""
    process = loader(spark, *plan_words(export, tmp_path))
    seen(tmp_path, "attempts/*.staged")
    stopped = spark.python_workers()[:1]
    with standing_still(stopped):
        finished(process)

    assert digest_of(planned_in(tmp_path)) == alone


@contextmanager
def standing_still(processes):
    """Stop processes, and let them go on in the end."""
    for number in processes:
        os.kill(number, signal.SIGSTOP)
    try:
        yield
    finally:
        for number in processes:
            os.kill(number, signal.SIGCONT)


def test_ctrl_c_ends_the_planning_in_order(spark, export, tmp_path):
    """The tasks are given up, nothing is left of the plan, and the exit code says what happened."""
    process = loader(spark, "run", export / "pipeline.yaml", "--state", tmp_path)
    seen(tmp_path, "attempts/*.staged")
    process.send_signal(signal.SIGINT)

    assert "interrupted" in finished(process, 130)
    assert not list(tmp_path.glob("*/plans/*"))


def test_a_driver_that_is_killed_has_sent_nothing_and_the_next_run_sends_all(spark, export, bucket, tmp_path):
    """Killed while it plans: no plan is there, no request was made. Killed while it sends: nothing is lost."""
    words = ["run", export / "pipeline.yaml", "--state", tmp_path, "--as-of", AS_OF, "--allow-rejected", "1%"]
    process = loader(spark, *words, url=bucket.url)
    seen(tmp_path, "attempts/*.staged")
    process.kill()
    process.communicate()
    assert not list(tmp_path.glob("*/plans/*/manifest.json"))
    assert bucket.state()["requests"] == 0

    process = loader(spark, *words, url=bucket.url)
    seen(tmp_path, "manifest.json")
    assert len(list(tmp_path.glob("*/plans/*"))) == 1
    while not bucket.state()["requests"]:
        time.sleep(0.02)
    process.kill()
    process.communicate()
    finished(start(spark, sys.executable, "-m", "bucket_loader", *words, url=bucket.url))

    assert bucket.state()["companies"] == 114_000
    the_next_plan_is_the_same_with_what_is_remembered(spark, bucket, tmp_path)


def the_next_plan_is_the_same_with_what_is_remembered(spark, bucket, state):
    """Rows that have changed, rows that are gone, events that were sent: told by the memory, as without Spark."""
    write_export(folder := state / "next", accounts=110_000, seats=1)
    finished(loader(spark, *plan_words(folder, state), url=bucket.url))
    finished(start(spark, sys.executable, "-m", "bucket_loader", *plan_words(folder, state), url=bucket.url))
    plans = sorted(path.parent for path in state.glob("*/plans/*/manifest.json"))[-2:]

    assert digest_of(plans[0]) == digest_of(plans[1])
    streams = json.loads((plans[0] / "manifest.json").read_text("utf-8"))["streams"]
    assert [(one["removed"], one["records"]) for one in streams] == [(9_500, 114_000), (0, 0)]


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


# --- what Spark shows -------------------------------------------------------------------------------------------------


def test_spark_shows_and_logs_no_key_and_no_value_of_a_row(spark):
    """After all that: its logs, the events that its pages are made of, and the folders of its workers."""
    texts = [path.read_bytes() for path in spark.home.rglob("*") if path.is_file()]

    assert len(texts) > 10
    for secret in (KEY, "Né 41", "c000041", "u4177"):
        assert not [1 for text in texts if re.search(re.escape(secret.encode()), text)]
