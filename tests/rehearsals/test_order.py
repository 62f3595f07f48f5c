"""The last row wins, whatever breaks: at 16 at once, under faults, through kills, resumes and abandoned runs.

`make order KEYS=100000` does it with a hundred thousand keys and five updates each; here it is a few hundred.
"""

import random
import time
from dataclasses import dataclass

import pytest
from driver import SEED, SLOW, UNSURE, Load, bucket, often, tell
from invariants import at_every_moment, summed_up

pytestmark = pytest.mark.rehearsal
KEYS = often("BUCKET_LOADER_ORDER_KEYS", 2_000)
UPDATES = 5
FAILING = {"kind": "status", "status": 500, "rate": 0.05}
# Slow answers by less than a start takes: what a killed run left with the server is applied before the next one plans.
FAULTS = ({**SLOW, "seconds": 0.15}, FAILING, UNSURE)

PIPELINE = """
name: rehearsed
destination: {{base_url: "${{BUCKET_BASE_URL}}", key: "${{BUCKET_SECRET_KEY}}", concurrency: 16,
  chunk: {{records: {chunk}}}, patience: 60s, timeout: 5s}}
streams:
  - name: users
    record: user
    source: {{type: csv, path: users.csv}}
    fields: {{userId: id, attributes: {{version: version}}}}
  - name: companies
    record: company
    source: {{type: csv, path: companies.csv}}
    fields: {{companyId: id, userId: user, attributes: {{version: version}}}}
"""


@dataclass
class Updates(Load):
    """Users, and companies of which three share a user, each row with a version."""

    keys: int = KEYS

    def __post_init__(self) -> None:
        self.users, self.companies, self.events, self.refused = self.keys, self.keys // 3, 0, 0
        self.concurrency = 16
        super().__post_init__()
        self.write("pipeline.yaml", PIPELINE.format(chunk=100 if self.keys > 10_000 else 20))

    def export(self, *versions):
        """Export every key once for each version, in order."""
        users = [f"u{key},{version}\n" for version in versions for key in range(self.users)]
        companies = [f"c{key},u{key // 3},{version}\n" for version in versions for key in range(self.companies)]
        self.write("users.csv", "id,version\n" + "".join(users))
        self.write("companies.csv", "id,user,version\n" + "".join(companies))

    def final(self):
        """Return what the emulator took last of each user and company, and the last company that named each user."""
        last, company_of = {}, {}
        for entry in self.bucket.journal():
            item = entry["item"]
            name = item["companyId"] if item["type"] == "company" else item["userId"]
            last[name] = item["attributes"]["version"]
            if item["type"] == "company":
                company_of[item["userId"]] = name
        return last, company_of

    def expected(self):
        """Return what that has to be."""
        names = [f"u{key}" for key in range(self.users)] + [f"c{key}" for key in range(self.companies)]
        return dict.fromkeys(names, str(UPDATES)), {f"u{key // 3}": f"c{key}" for key in range(self.companies)}


@pytest.fixture
def load(tmp_path, forks, endpoints):
    """Updates to load, under faults."""
    with bucket(endpoints[0].url) as it:
        it.faults(*FAULTS, seed=SEED)
        yield Updates(tmp_path / "here", it, forks)


@pytest.mark.timeout(14_400)
def test_of_many_updates_in_one_export_the_last_wins(load):
    """Five rows of every key in one export: the emulator ends with the last row of each, no exception."""
    began = time.monotonic()
    load.export(*range(1, UPDATES + 1))
    code = load.run()
    counts = load.told()["streams"]
    tell(f"{load.keys:,} keys, {UPDATES} updates each, one export: {load.bucket.requests():,} requests, "
          f"{time.monotonic() - began:.0f} s")  # fmt: skip

    assert code == 0, load.stderr()[-2_000:]
    assert load.final() == load.expected()
    assert [one["superseded"] for one in counts.values()] == [
        (UPDATES - 1) * load.users,
        (UPDATES - 1) * load.companies,
    ]
    at_every_moment(load)


@pytest.mark.timeout(14_400)
def test_of_many_exports_the_last_wins_through_kills_and_abandoned_runs(load):
    """Five exports one after another, killed in the middle and resumed or abandoned: the last row of each key stays."""
    randomly, began = random.Random(SEED), time.monotonic()  # noqa: S311  # repeatable, not secret
    kills = abandoned = 0
    for version in range(1, UPDATES + 1):
        load.export(version)
        for _ in range(randomly.randrange(1, 4)):
            child = load.start()
            load.wait_for_requests(randomly.randrange(1, max(2, load.keys // 60)), child)
            kills += child.kill()
            load.bucket.settled()
            at_every_moment(load)
            left = [run for run, status in load.runs() if status in {"running", "unfinished"}]
            if left and kills % 3 == 0:
                assert load.run("abandon", left[0]) == 0, load.stderr()[-2_000:]
                abandoned += 1
        if version < UPDATES and randomly.random() < 0.5:
            continue  # the next export comes while this one is unfinished
        assert load.run() == 0, load.stderr()[-2_000:]
    tell(f"{load.keys:,} keys, {UPDATES} exports: {kills} kills, {abandoned} abandoned, "
          f"{load.bucket.requests():,} requests, {time.monotonic() - began:.0f} s")  # fmt: skip

    assert load.final() == load.expected()
    assert "Traceback" not in load.stderr()
    summed_up(load)
