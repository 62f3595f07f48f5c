"""`history` where the ledger lies on a server and the files in a store: it says the same, and writes nothing there."""

import json
from contextlib import closing

import pytest
from ledgers import RUN, OnServer, begin, chunk, delivered
from pods import all_objects, new_pod

from bucket_loader.state.ledger import Intent
from bucket_loader.state.ledger.connecting import Server
from bucket_loader.state.ledger.looking import to_read
from bucket_loader.state.ledger.postgres import look

pytestmark = pytest.mark.postgres
PEOPLE = """
- name: people
  record: user
  source: {type: csv, path: people.csv}
  fields: {userId: id, attributes: {n: {column: n, type: integer}}}
"""


def test_a_worker_that_has_lost_its_disk_asks_the_server_and_the_store(tmp_path, emulator, s3):
    """Runs, attempts and rejections are those of the run before; nothing in the store changes."""
    pod = new_pod(tmp_path, emulator, s3)
    pod.write("people.csv", "id,n\nu1,1\nu2,2\nu3,x\n")
    pod.pipeline(PEOPLE, name=f"test-{pod.prefix}")
    run = pod.run().summary["run"]
    before = all_objects(s3, pod)

    sql = """select run, delivered, rejected, code, rows, status from streams join rejections using (run)
             join attempts using (run)"""
    found = pod.command("history", "--json", "--sql", sql)

    assert json.loads(found.stdout)["rows"] == [
        {"run": run, "delivered": 2, "rejected": 1, "code": "integer", "rows": 1, "status": 200}]  # fmt: skip
    assert run in pod.command("history").stderr
    assert all_objects(s3, pod) == before


def test_who_looks_sees_one_moment_on_a_server():
    """What a run commits meanwhile is seen afterwards."""
    place = OnServer()
    with closing(place.open()) as ledger:
        begin(ledger)
        with closing(to_read(look(Server(place.url), place.schema))) as looking:
            with looking.database.still():
                assert list(looking.chunk_pages()) == []
                ledger.commit(RUN, [Intent(chunk(0)), delivered(chunk(0))])
                assert list(looking.chunk_pages()) == []
            ((row,),) = looking.chunk_pages()
    assert row[:4] == (RUN, 0, 0, "0-9")
