"""`explain` where the ledger lies on PostgreSQL and the files in a store: a worker without a disk tells the same."""

import json

import pytest
from pods import all_objects, new_pod

pytestmark = pytest.mark.postgres

STREAMS = """
- name: companies
  record: company
  source: {type: csv, path: accounts.csv}
  fields: {companyId: id, attributes: {plan: plan, seats: {column: seats, type: integer}}}
"""


def test_a_worker_with_a_new_disk_tells_the_whole_life(tmp_path, emulator, s3):
    """Plans are brought from the store, dead letters and memory are read there; nothing in the store is changed."""
    pod = new_pod(tmp_path, emulator, s3)
    pod.pipeline(STREAMS, name=f"test-{pod.prefix}")
    for plan, seats in (("pro", 1), ("free", 2), ("free", "x")):
        pod.write("accounts.csv", f"id,plan,seats\nc1,{plan},{seats}\nc2,pro,1\n")
        pod.run()
    before = all_objects(s3, pod)

    result = pod.command("explain", "--company", "c1", "--now", "--json")
    life = json.loads(result.stdout)

    rows = [row for run in life["runs"] for row in run["rows"]]
    assert [row["fate"] for row in rows] == ["rejected", "delivered", "delivered"]
    assert [one["field"] for one in rows[1]["compared"]["changes"]] == ["attributes.plan", "attributes.seats"]
    assert [one["run"] for one in life["remembered"]] == [rows[1]["run"]]
    assert [row["verdict"] for row in life["now"]["rows"]] == ["rejected"]
    assert all_objects(s3, pod) == before
