"""The flow of docs/how-to/prefect.md in a real Prefect: how often it tries, and what it returns.

All cases are done by one process, since a server of Prefect's own starts with it; each test looks at one of them.
"""

import json
import os
import subprocess

import pytest
import tiers
from docs_programs import program_of
from workplace import KEY, Workplace

from bucket_loader.emulator.http.server import running

USERS = """
- name: users
  record: user
  source: {type: csv, path: users.csv}
  fields: {userId: id}
"""
HELD = """
- name: events
  record: event
  source: {type: csv, path: users.csv}
  key: [id]
  on_unknown: hold
  fields: {userId: id, event: {value: signed up}, timestamp: {value: "2026-01-01T00:00:00Z"}}
"""
CASES = """
import json, sys, urllib.request
sys.path.insert(0, sys.argv[1])
import nightly

tries, load = [], nightly.load

def faults(*given):
    body = json.dumps({"seed": 1, "faults": given}).encode()
    url = sys.argv[2] + "/_emulator/faults"
    urllib.request.urlopen(urllib.request.Request(url, body, {"Content-Type": "application/json"}, method="PUT"))

def counted(*arguments, **words):
    if tries:
        faults()  # what was wrong is over at the second try
    tries.append(words)
    return load(*arguments, **words)

nightly.load = counted

@nightly.flow
def case(name):
    tries.clear()
    task = nightly.load_into_bucket.with_options(retries=2, retry_delay_seconds=0)
    state = task(f"{sys.argv[1]}/{name}.yaml", patience="0.1s", return_state=True)
    result = state.result(raise_on_failure=False)
    return [state.type.value, len(tries), result if isinstance(result, dict) else repr(result)]

found = {}
for name, broken in json.loads(sys.argv[3]).items():
    faults(*broken)
    found[name] = case(name)
print(json.dumps(found))
"""
BROKEN = {
    "good": [],
    "outage": [{"kind": "status", "status": 503, "rate": 1.0}],
    "wrong_key": [],
    "rejected": [],
    "none": [],
    "held": [{"kind": "cut_after", "rate": 1.0}],
}
ALONE = {
    "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "true",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "180",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_CLOUD_ENABLE_ORCHESTRATION_TELEMETRY": "false",
    "DO_NOT_TRACK": "1",
    "PREFECT_LOGGING_TO_API_ENABLED": "false",
    "PYTHONWARNINGS": "ignore",
}

pytestmark = pytest.mark.prefect


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """Return what came of every case: how the task ended, after how many tries, and its result."""
    folder = tmp_path_factory.mktemp("prefect")
    program_of("how-to/prefect.md", folder)
    with running(secret_key=KEY, publishable_key="pub_test_0123456789") as endpoint:
        files(Workplace(folder, endpoint.url))
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT", "BUCKET"))}
        keys = {"BUCKET_BASE_URL": endpoint.url, "BUCKET_SECRET_KEY": KEY}
        done = subprocess.run(
            [str(tiers.PREFECT / "bin/python"), "-c", CASES, str(folder), endpoint.url, json.dumps(BROKEN)],
            env=kept | ALONE | keys | {"PREFECT_HOME": str(folder / "home")},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout.splitlines()[-1])


def files(place):
    """Write what the cases load."""
    place.write("users.csv", "id\nu1\nu2\n")
    place.write("bad.csv", 'id\nu1\n""\n')
    pipelines = {"good": USERS, "outage": USERS, "rejected": USERS.replace("users.csv", "bad.csv"), "held": HELD}
    for name, streams in (pipelines | {"wrong_key": USERS}).items():
        place.pipeline(streams, name=name).rename(place.folder / f"{name}.yaml")
    file = place.folder / "wrong_key.yaml"
    file.write_text(file.read_text("utf-8").replace("${BUCKET_SECRET_KEY}", "${NO_KEY:-}"), "utf-8")


def test_a_run_that_is_done_completes_at_once(found):
    """Its result is the summary."""
    ended, tries, result = found["good"]

    assert (ended, tries, result["streams"]["users"]["delivered"]) == ("COMPLETED", 1, 2)


def test_an_outage_is_tried_again_and_the_next_try_continues(found):
    """The second one finishes what the first one began."""
    ended, tries, result = found["outage"]

    assert (ended, tries, len(result["resumed"])) == ("COMPLETED", 2, 1)


@pytest.mark.parametrize("name", ["wrong_key", "rejected", "none", "held"])
def test_what_would_end_the_same_is_not_tried_again(found, name):
    """No key, rejected rows, no file, and records that wait for a person: one try each."""
    assert found[name][:2] == ["FAILED", 1]
    assert "NotLoadedError" in found[name][2]
