"""A report for workers whose disk is lost after each command: plan and dead letters are fetched from the store."""

import pytest
from pods import new_pod

COMPANIES = """
- name: companies
  record: company
  source: {type: csv, path: accounts.csv}
  fields: {companyId: id, attributes: {seats: {column: seats, type: integer}}}
"""


@pytest.mark.postgres
def test_a_worker_with_a_new_disk_reports_what_another_has_run(tmp_path, emulator, s3):
    """All of it: what was rejected with its shapes, the requests, and the proof; of its own run too."""
    pod = new_pod(tmp_path, emulator, s3)
    pod.pipeline(COMPANIES, name=f"test-{pod.prefix}")
    pod.write("accounts.csv", "id,seats\nc1,5\nc2,five\nc3,7\n")
    pages = [tmp_path / "at-once.html", tmp_path / "later.html"]

    ran = pod.run("--report", str(pages[0]))
    assert pod.command("report", "latest", "-o", str(pages[1])).exit_code == 0

    assert ran.exit_code == 3
    for page in pages:
        text = page.read_text("utf-8")
        assert "Audited: 2 records in 1 chunk," in text
        assert "<code>aaa… (1 row)</code>" in text
        assert "Requests over time" in text
        assert "is gone" not in text
        assert "five" not in text
