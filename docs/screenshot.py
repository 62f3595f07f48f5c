"""Make `emulator.png`: the emulator's page after the quickstart pipeline has been there.

`python docs/screenshot.py`; it needs chromium and the development extras.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import requests

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "emulator")]

from browser import running_browser  # noqa: E402

from bucket_loader.emulator.http.server import Endpoint, running  # noqa: E402

FEATURES = {
    "features": [
        {
            "key": "quote-builder",
            "targeting": {
                "version": 3,
                "rules": [
                    {
                        "filter": {
                            "type": "context",
                            "field": "user.plan",
                            "operator": "ANY_OF",
                            "values": ["fleet", "enterprise"],
                        }
                    },
                    {
                        "filter": {
                            "type": "context",
                            "field": "company.address.country",
                            "operator": "IS",
                            "values": ["FR"],
                        }
                    },
                ],
            },
        },
        {
            "key": "dock-planner",
            "targeting": {
                "version": 1,
                "rules": [
                    {
                        "filter": {
                            "type": "rolloutPercentage",
                            "partialRolloutAttribute": "company.id",
                            "partialRolloutThreshold": 50_000,
                        }
                    }
                ],
            },
        },
    ]
}
FAULTS = {"seed": 7, "faults": [{"kind": "status", "status": 500, "rate": 0.25, "times": 3}]}
MISTAKES = [
    {"type": "user", "userId": "00160", "attributes": {"plan": "fleet"}},
    {"type": "event", "userId": "00160", "companyId": "1146", "event": "job moved", "timestamp": "yesterday"},
    {"type": "feedback", "userId": "00827", "key": "quote-builder", "score": 11},
]


def load(endpoint: Endpoint) -> None:
    """Let the pipeline, and somebody who is still learning the API, call the emulator."""
    with tempfile.TemporaryDirectory() as state:
        environment = {"BUCKET_BASE_URL": endpoint.url, "BUCKET_SECRET_KEY": endpoint.secret_key}
        subprocess.run(  # noqa: S603  # our own program
            [sys.executable, "-m", "bucket_loader", "run", "pipelines/quickstart.yaml", "--state", state],
            cwd=ROOT,
            env=os.environ | environment,
            capture_output=True,
            check=False,  # 3: the samples have bad rows in them
        )
    with requests.Session() as session:
        session.trust_env = False
        session.headers["Authorization"] = f"Bearer {endpoint.secret_key}"
        session.post(f"{endpoint.url}/bulk", json=MISTAKES, timeout=10)
        session.post(f"{endpoint.url}/user", json={"userId": "", "attributes": {"name": "Ada"}}, timeout=10)


def main() -> None:
    """Take the picture."""
    with running(features=FEATURES, faults=FAULTS) as endpoint:
        load(endpoint)
        with running_browser() as browser, browser.page() as page:
            page.resize(1280, 1080)
            page.open(endpoint.url)
            page.wait_for("document.querySelectorAll('.share').length === 4")
            (ROOT / "docs" / "emulator.png").write_bytes(page.screenshot())


if __name__ == "__main__":
    main()
