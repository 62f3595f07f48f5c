"""Plans that a real Spark cluster makes, and rows that only Spark has."""

import json
import subprocess
from pathlib import Path

import pytest
from spark_cluster import PYTHON, cluster
from workplace import KEY, Emulator

from bucket_loader.emulator.http.server import running

pytestmark = [pytest.mark.spark, pytest.mark.timeout(600), pytest.mark.xdist_group("spark")]
HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def spark(tmp_path_factory):
    """Return a cluster."""
    with cluster(tmp_path_factory.mktemp("spark")) as found:
        yield found


@pytest.fixture
def bucket():
    """Return an emulator."""
    with running(secret_key=KEY, publishable_key="pub_test_0123456789") as endpoint:
        yield Emulator(endpoint.url)


def run(spark, *words, **variables):
    """Run a program of Spark's environment."""
    variables = {"SPARK_REMOTE": spark.remote} | variables
    done = subprocess.run(
        [PYTHON, *words], check=False, env=spark.environment(**variables), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done


def test_rows_of_a_frame_are_loaded_once_and_then_what_changed(spark, bucket, tmp_path):
    """A DataFrame of Spark Connect is a table like others, in the order that is asked for."""
    run(spark, HERE / "spark_rows.py", tmp_path / "answers.json", bucket.url)
    found = json.loads((tmp_path / "answers.json").read_text("utf-8"))

    assert found["loaded"]["streams"]["a"]["delivered"] == 5000
    assert found["changed"]["streams"]["a"]["delivered"] == 1
    assert found["ordered"] == [1000, 5000]
    assert found["of files"] == [found["of files"][0]] * 2
    assert {name: code for name, (_, code) in found["refused"].items()} == dict.fromkeys(found["refused"], 2)
    assert "needs a name" in found["refused"]["no name"][0]
    assert "for a DataFrame of Spark" in found["refused"]["order of another"][0]
    assert "nope" in found["refused"]["no such column"][0]
