"""`forget` for workers whose disk is lost after each command: what is in the store is forgotten and erased, too."""

import pytest
from pods import all_objects, new_pod

pytestmark = pytest.mark.postgres
PERSON = "u-4711"
PEOPLE = """
- name: people
  record: user
  source: {type: csv, path: people.csv}
  fields: {userId: id, attributes: {n: {column: n, type: integer}}}
"""


@pytest.fixture
def people(tmp_path, emulator, s3):
    """A worker that forgets, and has loaded three people, one row of whom was rejected."""
    pod = new_pod(tmp_path, emulator, s3)
    pod.write("people.csv", f"id,n\n{PERSON},1\nu2,2\nu3,3\n{PERSON},x\n")
    pod.pipeline(PEOPLE, name=f"test-{pod.prefix}")
    assert pod.run().exit_code == 3
    return pod


def test_what_is_forgotten_is_gone_from_the_store(people):
    """The ledger on the server names no memory any more, so everything counts as new on the next disk."""
    forgotten, again = people.command("forget", "--yes"), people.run()

    assert (forgotten.exit_code, "people: 3 records will be sent again" in forgotten.stderr) == (0, True)
    assert again.summary["streams"]["people"]["delivered"] == 3


def test_who_is_erased_is_in_no_object(people, s3):
    """Plans, dead letters and memory of the store hold the person no longer; others stay known."""
    before = all_objects(s3, people)
    erased = people.command("forget", "--user", PERSON, "--yes", "--json")
    after = all_objects(s3, people)
    again = people.run()

    assert erased.summary["found"] == {"memory": 1, "refusals": 0, "dead_letters": 1, "plans": 1, "checks": 0}
    assert any(b"4711" in data for data in before.values())
    assert not any(b"4711" in data for data in after.values())
    assert not any("plans/" in name or "dead_letters/" in name for name in after)
    assert again.summary["streams"]["people"]["delivered"] == 1
    assert people.command("audit", "--memory").exit_code == 0
