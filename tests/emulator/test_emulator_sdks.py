"""The published clients and their evaluation package, from the npm registry and unmodified, against the emulator."""

import fcntl
import hashlib
import json
import shutil
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import machine
import pytest
from emulator_api import PUBLISHABLE, SECRET
from evaluation_cases import NOW_MS, STORED, by_the_packages, cases

from bucket_loader.model.evaluation.rules import evaluate, flatten

machine.require(programs=("node", "npm"))

SDK = Path(__file__).parent / "sdk"
FEATURES = {
    "features": [
        {
            "key": "huddle",
            "targeting": {
                "version": 3,
                "rules": [
                    {"filter": {"type": "context", "field": "company.plan", "operator": "IS", "values": ["pro"]}},
                    {
                        "filter": {
                            "type": "rolloutPercentage",
                            "partialRolloutAttribute": "company.id",
                            "partialRolloutThreshold": 0,
                        }
                    },
                ],
            },
            "config": {
                "version": 2,
                "variants": [{"key": "blue", "payload": {"a": 1}, "filter": {"type": "constant", "value": True}}],
            },
        },
        {"key": "dull", "targeting": {"version": 1, "rules": [{"filter": {"type": "constant", "value": False}}]}},
    ]
}
BLUE = {"key": "blue", "payload": {"a": 1}}


@pytest.fixture(scope="session")
def clients(pytestconfig):
    """Install the clients once for this machine and package.json, and return the folder they are in."""
    wanted = (SDK / "package.json").read_bytes()
    folder = Path(pytestconfig.cache.mkdir("clients")) / hashlib.sha256(wanted).hexdigest()[:12]
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the other test processes wait
        if not (folder / "installed").exists():
            install(folder)
            (folder / "installed").touch()
    return folder


def install(folder):
    """Let npm install what package.json names; skip where the registry cannot be reached, or fail in CI."""
    shutil.copy(SDK / "package.json", folder)
    options = ["--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
    options += ["--fetch-retries=1", "--fetch-retry-mintimeout=1000"]  # ms
    done = told_by("npm", "install", *options, cwd=folder, timeout=200)
    if done.returncode != 0:
        told = f"npm could not install the clients: {' '.join(done.stderr.splitlines()[:3])}"
        pytest.fail(told) if machine.IN_CI else pytest.skip(told)


def told_by(*command, cwd, timeout):
    """Run a program to its end, well or ill."""
    return subprocess.run(command, cwd=cwd, timeout=timeout, capture_output=True, text=True, check=False)


def run(api, folder, client):
    """Put a client through its paces; return what it said, what it saw and which hosts it called."""
    api.put("/_emulator/features", FEATURES)
    options = {"client": client, "url": api.url, "secretKey": SECRET, "publishableKey": PUBLISHABLE}
    done = told_by("node", SDK / "clients.js", json.dumps(options), cwd=folder, timeout=60)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["said"] == []
    assert set(told["hosts"]) <= {urlsplit(api.url).netloc}
    assert api.state()["refused"] == 0
    return told["seen"]


@pytest.mark.parametrize(("client", "feature_events"), [("@bucketco/node-sdk", 3), ("@reflag/node-sdk", 0)])
def test_node_clients_notice_nothing(api, clients, client, feature_events):
    """Updates, events and checks arrive, features come back the same from either side, and no warning is logged."""
    seen = run(api, clients, client)

    assert seen["local"] == {"huddle": [True, BLUE], "dull": [False, {}]}
    assert seen["remote"] == seen["local"]  # the stored plan of the company decides there
    assert seen["one"] == {"huddle": [True, BLUE]}
    assert (seen["checked"], seen["config"]) == (True, BLUE)
    assert api.user("u1")["attributes"] == {"name": "Ada", "age": 36}
    assert api.company("42")["attributes"] == {"name": "Acme", "plan": "pro"}
    assert (api.user("u1")["defaultCompany"], api.user("u1")["events"]) == ("42", 3)
    assert (api.state()["events"], api.state()["unassociated_events"]) == (3, 0)
    assert api.state()["feature_events"] >= feature_events
    assert {line["type"] for line in api.journal()} >= {"user", "company", "event"}


@pytest.mark.parametrize("client", ["@bucketco/browser-sdk", "@reflag/browser-sdk"])
def test_browser_clients_notice_nothing(api, clients, client):
    """In a browser's window: preflights, features, events, checks and feedback, and no warning is logged."""
    seen = run(api, clients, client)

    assert (seen["enabled"], seen["config"], seen["off"], seen["again"]) == (True, BLUE, False, True)
    assert seen["track"] == 200
    assert api.user("u1")["attributes"].items() >= {"name": "Ada", "age": 36, "role": "admin"}.items()
    assert api.company("42")["attributes"].items() >= {"plan": "pro", "seats": 5}.items()
    assert (api.state()["events"], api.state()["unassociated_events"]) == (2, 0)
    assert api.state()["feature_events"] >= 2
    assert api.state()["feedback"] == 1  # the second amended it
    assert [line["item"]["feedbackId"] for line in api.journal() if line["item"].get("score") == 5] == [
        seen["feedbackId"]
    ]


def test_the_legacy_client_notices_nothing(api, clients):
    """The tracking client puts its key in the path, and wants its flags in their old place."""
    seen = run(api, clients, "@bucketco/tracking-sdk")

    assert seen == {"user": 200, "company": 200, "track": 200, "flags": {"huddle": True}, "feedback": 200}
    assert api.user("u1")["companies"] == ["42"]
    assert (api.state()["events"], api.state()["feedback"], api.state()["unassociated_events"]) == (1, 1, 0)


@pytest.mark.parametrize("package", ["@bucketco/flag-evaluation", "@reflag/flag-evaluation"])
def test_evaluation_agrees_with_the_published_packages(clients, package):
    """Rule by rule, on the stored cases (whose results are still the packages') and on as many fresh ones."""
    stored = json.loads(STORED.read_text("utf-8"))
    some = [*stored, *cases(seed=2)]

    published = by_the_packages(clients, some)[package]

    assert len(some) > 1000
    assert [case["expected"] for case in stored] == published[: len(stored)]
    for case, result in zip(some, published, strict=True):
        ours = evaluate(case["rules"], flatten(case["context"]), NOW_MS)
        assert {"matched": ours.matched, "results": ours.results, "missing": ours.missing} == result, case
