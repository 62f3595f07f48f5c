"""The published clients and their evaluation package, from the npm registry and unmodified, against the emulator."""

import json
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from emulator_api import PUBLISHABLE, SECRET
from evaluation_cases import NOW_MS, STORED, by_the_packages, cases
from tiers import CLIENTS

from bucket_loader.model.evaluation.rules import evaluate, flatten

pytestmark = pytest.mark.clients
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


def told_by(*command, cwd, timeout):
    """Run a program to its end, well or ill."""
    return subprocess.run(command, cwd=cwd, timeout=timeout, capture_output=True, text=True, check=False)


def run(api, client):
    """Put a client through its paces; return what it said, what it saw and which hosts it called."""
    api.put("/_emulator/features", FEATURES)
    options = {"client": client, "url": api.url, "secretKey": SECRET, "publishableKey": PUBLISHABLE}
    done = told_by("node", SDK / "clients.js", json.dumps(options), cwd=CLIENTS, timeout=60)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["said"] == []
    assert set(told["hosts"]) <= {urlsplit(api.url).netloc}
    assert api.state()["refused"] == 0
    return told["seen"]


@pytest.mark.parametrize(("client", "feature_events"), [("@bucketco/node-sdk", 3), ("@reflag/node-sdk", 0)])
def test_node_clients_notice_nothing(api, client, feature_events):
    """Updates, events and checks arrive, features come back the same from either side, and no warning is logged."""
    seen = run(api, client)

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
def test_browser_clients_notice_nothing(api, client):
    """In a browser's window: preflights, features, events, checks and feedback, and no warning is logged."""
    seen = run(api, client)

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


def test_the_legacy_client_notices_nothing(api):
    """The tracking client puts its key in the path, and wants its flags in their old place."""
    seen = run(api, "@bucketco/tracking-sdk")

    assert seen == {"user": 200, "company": 200, "track": 200, "flags": {"huddle": True}, "feedback": 200}
    assert api.user("u1")["companies"] == ["42"]
    assert (api.state()["events"], api.state()["feedback"], api.state()["unassociated_events"]) == (1, 1, 0)


@pytest.mark.parametrize("package", ["@bucketco/flag-evaluation", "@reflag/flag-evaluation"])
def test_evaluation_agrees_with_the_published_packages(package):
    """Rule by rule, on the stored cases (whose results are still the packages') and on as many fresh ones."""
    stored = json.loads(STORED.read_text("utf-8"))
    some = [*stored, *cases(seed=2)]

    published = by_the_packages(CLIENTS, some)[package]

    assert len(some) > 1000
    assert [case["expected"] for case in stored] == published[: len(stored)]
    for case, result in zip(some, published, strict=True):
        ours = evaluate(case["rules"], flatten(case["context"], "2025"), NOW_MS, "2025")
        assert {"matched": ours.matched, "results": ours.results, "missing": ours.missing} == result, case
