"""`remember: values` for workers whose disk is lost after each command: the store keeps no more than is wanted."""

import pyarrow as pa
import pytest
from pods import all_objects, new_pod

pytestmark = pytest.mark.postgres
COMPANIES = """
- name: companies
  record: company
  source: {type: csv, path: accounts.csv}
  fields: {companyId: id, attributes: {"*": {exclude: [%s]}}}
  remember: %s
"""


@pytest.fixture
def pod(tmp_path, emulator, s3):
    """A worker that has loaded three companies, one of which is gone since."""
    it = new_pod(tmp_path, emulator, s3)
    it.pipeline(COMPANIES % ("", "values"), name=f"test-{it.prefix}")
    it.write("accounts.csv", "id,seats,email\nc1,5,a@x.org\nc2,6,b@x.org\nc3,7,c@x.org\n")
    assert it.run().exit_code == 0
    it.write("accounts.csv", "id,seats,email\nc1,5,a@x.org\nc2,6,b@x.org\n")
    return it


def records(s3, pod):
    """Return the records in the store's memory, by file."""
    found = {}
    for name, data in all_objects(s3, pod).items():
        if "/snapshots/" in name:
            table = pa.ipc.open_stream(data).read_all()
            found[name] = table["record"].to_pylist() if "record" in table.column_names else []
    return found


def test_a_field_that_is_not_sent_any_more_leaves_the_store(pod, s3):
    """The file with it is written anew and removed, also for a row that nobody sends again; the rest stays."""
    assert "c@x.org" in str(records(s3, pod))
    pod.pipeline(COMPANIES % ("email", "values"), name=f"test-{pod.prefix}")
    assert pod.run().summary["streams"]["companies"]["delivered"] == 2

    left = records(s3, pod)
    assert "x.org" not in str(left)
    assert '"seats":"7"' in str(left)
    assert pod.command("audit", "--memory").exit_code == 0
    assert pod.run().summary["streams"]["companies"]["unchanged"] == 2


def test_a_return_to_hashes_leaves_no_value(pod, s3):
    """And no row is sent again for it."""
    pod.pipeline(COMPANIES % ("", "hashes"), name=f"test-{pod.prefix}")
    assert pod.run().summary["streams"]["companies"] | {"read": 2} == pod.run().summary["streams"]["companies"]

    assert all(not found for found in records(s3, pod).values())
    assert pod.command("audit", "--memory").exit_code == 0
