"""Take the pictures of the emulator's page after the quickstart pipeline has been there, and of other pages.

`python docs/screenshot.py` makes `emulator.png`, `report.png` and `impact.png`. `python docs/screenshot.py FOLDER`
makes a picture of every view of the emulator's page, on a phone, a tablet and a screen, by day and by night. It needs
chromium and the development extras.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import requests

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "emulator")]

from browser import Page, running_browser  # noqa: E402

from bucket_loader.emulator.http.server import Endpoint, running  # noqa: E402
from bucket_loader.runs import RejectedRows  # noqa: E402


def condition(field: str, operator: str, *values: str) -> dict[str, object]:
    """Return a condition of a rule."""
    return {"type": "context", "field": field, "operator": operator, "values": list(values)}


FLEET = condition("user.plan", "ANY_OF", "fleet", "enterprise")
IN_FRANCE = condition("company.address.country", "IS", "FR")
NOT_GUEST = {"type": "negation", "filter": condition("user.role", "IS", "guest")}
HALF = {"type": "rolloutPercentage", "partialRolloutAttribute": "company.id", "partialRolloutThreshold": 50_000}
FEATURES = {
    "features": [
        {
            "key": "quote-builder",
            "targeting": {
                "version": 3,
                "rules": [
                    {"filter": {"type": "group", "operator": "and", "filters": [FLEET, NOT_GUEST]}},
                    {"filter": IN_FRANCE},
                ],
            },
        },
        {"key": "dock-planner", "targeting": {"version": 1, "rules": [{"filter": HALF}]}},
    ]
}
FAULTS = {"seed": 7, "faults": [{"kind": "status", "status": 500, "rate": 0.25, "times": 3}]}
BUSY = {"seed": 3, "faults": [{"kind": "status", "status": 429, "retry_after": 1, "rate": 0.1}]}
MISTAKES = [
    {"type": "user", "userId": "00160", "attributes": {"plan": "fleet"}},
    {"type": "event", "userId": "00160", "companyId": "1146", "event": "job moved", "timestamp": "yesterday"},
    {"type": "feedback", "userId": "00827", "key": "quote-builder", "score": 11},
]

# Every view by its name: its address, and what is there when it is.
VIEWS: Final = {
    "overview": ("", "document.querySelectorAll('.share').length === 4"),
    **{table: (f"#/{table}", "document.querySelector('#table td')") for table in
       ("users", "companies", "events", "feedback", "requests", "rejected")},
    "user": ("#/user/00160", "document.querySelector('.timeline li') && document.querySelector('.origin a')"),
    "company": ("#/company/1146", "document.querySelector('.timeline li')"),
    "feature": ("#/feature/quote-builder", "document.querySelectorAll('.found li').length > 50"),
    "request": ("#/request/1", "document.querySelector('#view pre')"),
    "search": ("#/search/fleet", "document.querySelector('.found li')"),
    "nowhere": ("#/nowhere", "document.querySelector('#view h2')"),
}  # fmt: skip
EMPTY: Final = {"empty": ("", "document.querySelectorAll('#start .copied').length === 5")}
LOST: Final = {"lost": ("", "document.querySelector('#lost').innerText")}
SIZES: Final = {"phone": (390, 844), "tablet": (1024, 768), "screen": (1440, 900)}


def load(endpoint: Endpoint) -> None:
    """Let the pipeline, and somebody who is still learning the API, call the emulator."""
    with tempfile.TemporaryDirectory() as state, requests.Session() as session:
        environment = {"BUCKET_BASE_URL": endpoint.url, "BUCKET_SECRET_KEY": endpoint.secret_key}
        subprocess.run(  # noqa: S603  # our own program
            [sys.executable, "-m", "bucket_loader", "run", "pipelines/quickstart.yaml", "--state", state],
            cwd=ROOT,
            env=os.environ | environment,
            capture_output=True,
            check=False,  # 3: the samples have bad rows in them
        )
        session.trust_env = False
        session.headers["Authorization"] = f"Bearer {endpoint.secret_key}"
        session.put(f"{endpoint.url}/_emulator/rejected", json=RejectedRows(Path(state))(), timeout=10)
        session.post(f"{endpoint.url}/bulk", json=MISTAKES, timeout=10)
        session.post(f"{endpoint.url}/user", json={"userId": "", "attributes": {"name": "Ada"}}, timeout=10)


def shown(page: Page, url: str, views: dict[str, tuple[str, str]]) -> Iterator[tuple[str, str, str]]:
    """Open every view in every size, by day and by night; yield what it is called when it is there."""
    for name, (address, ready) in views.items():
        for size, (width, height) in SIZES.items():
            for light in ("light", "dark"):
                page.resize(width, height, dark=light == "dark")
                if url:
                    page.open("about:blank")
                    page.open(f"{url}/{address}")
                page.wait_for(ready)
                if name == "user":
                    page.run("document.querySelectorAll('.why details').forEach((one) => { one.open = true; })")
                yield name, size, light


def every_view(folder: Path) -> None:
    """Take all pictures into a folder."""
    folder.mkdir(parents=True, exist_ok=True)

    def take(page: Page, url: str, views: dict[str, tuple[str, str]]) -> None:
        for name, size, light in shown(page, url, views):
            (folder / f"{name}-{size}-{light}.png").write_bytes(page.screenshot())

    with running_browser() as browser, browser.page() as page:
        with running() as endpoint:
            take(page, endpoint.url, EMPTY)
        with running(features=FEATURES, faults=FAULTS) as endpoint:
            load(endpoint)
            take(page, endpoint.url, VIEWS)
            page.open(endpoint.url)
            page.wait_for("document.querySelectorAll('.share').length === 4")
        take(page, "", LOST)


def report() -> None:
    """Take the picture of a report: of a rehearsal in which the API asks to wait now and then."""
    with tempfile.TemporaryDirectory() as folder, running_browser() as browser, browser.page() as page:
        file = Path(folder, "report.html")
        words = ["--stream", "companies", "--stream", "events", "--faults", json.dumps(BUSY), "--report", str(file)]
        command = [sys.executable, "-m", "bucket_loader", "rehearse", "pipelines/quickstart.yaml", *words]
        subprocess.run(command, cwd=ROOT, capture_output=True, check=False)  # noqa: S603  # our own; 3: bad rows
        page.resize(760, 1000)
        page.open(file.as_uri())
        page.wait_for("document.querySelector('h1')")
        end = "[...document.querySelectorAll('section')].find((one) => one.innerText.startsWith('Requests'))"
        page.resize(760, round(page.run(f"{end}.getBoundingClientRect().bottom")) + 12)
        (ROOT / "docs" / "report.png").write_bytes(page.screenshot())


IMPACT_PIPELINE: Final = """
name: nightly
destination: {base_url: "${BUCKET_BASE_URL}", key: "${BUCKET_SECRET_KEY}"}
streams:
  - name: companies
    record: company
    source: {type: csv, path: accounts.csv}
    fields: {companyId: id, attributes: {plan: plan, seats: {column: seats, type: integer}}}
    remember: values
"""
PRO, LARGE = condition("company.plan", "IS", "pro"), condition("company.seats", "GT", "20")
IMPACT_FEATURES: Final = [
    {"key": "checkout", "targeting": {"version": 4, "rules": [{"filter": PRO}]}},
    {"key": "bulk-export", "targeting": {"version": 2, "rules": [{"filter": LARGE}]}},
    {"key": "audit-log", "targeting": {"version": 1, "rules": [{"filter": condition("company.region", "IS", "eu")}]}},
    {"key": "dock-planner", "targeting": {"version": 1, "rules": [{"filter": HALF}]}},
]


def impact() -> None:
    """Take the picture of the impact of a plan: a few companies change their plans and seats."""
    before = [(f"{number:05}", ("pro", "free")[number % 2], number) for number in range(40)]
    after = [(id_, "free" if seats == 12 else plan, seats + 10 * (seats % 9 == 0)) for id_, plan, seats in before]  # noqa: PLR2004
    with tempfile.TemporaryDirectory() as name, running(features={"features": IMPACT_FEATURES}) as endpoint:
        folder = Path(name)
        (folder / "nightly.yaml").write_text(IMPACT_PIPELINE, "utf-8")
        environment = os.environ | {"BUCKET_BASE_URL": endpoint.url, "BUCKET_SECRET_KEY": endpoint.secret_key}
        for rows, words in ((before, ["run"]), (after, ["impact", "--format", "html"])):
            lines = (f"{id_},{plan},{seats}" for id_, plan, seats in rows)
            (folder / "accounts.csv").write_text("\n".join(["id,plan,seats", *lines]) + "\n", "utf-8")
            command = [sys.executable, "-m", "bucket_loader", words[0], "nightly.yaml", *words[1:]]
            made = subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=True)  # noqa: S603
        (folder / "impact.html").write_bytes(made.stdout)
        with running_browser() as browser, browser.page() as page:
            page.resize(860, 800)
            page.open((folder / "impact.html").as_uri())
            page.wait_for("document.querySelector('h1')")
            page.resize(860, round(page.run("document.querySelector('main').getBoundingClientRect().bottom")) + 12)
            (ROOT / "docs" / "impact.png").write_bytes(page.screenshot())


def main() -> None:
    """Take the pictures of the docs, or all of the emulator's page."""
    if len(sys.argv) > 1:
        return every_view(Path(sys.argv[1]))
    report()
    impact()
    with running(features=FEATURES, faults=FAULTS) as endpoint:
        load(endpoint)
        with running_browser() as browser, browser.page() as page:
            page.resize(1280, 1080)
            page.open(endpoint.url)
            page.wait_for(VIEWS["overview"][1])
            (ROOT / "docs" / "emulator.png").write_bytes(page.screenshot())
    return None


if __name__ == "__main__":
    main()
