"""Chunks that are sent before all others, to see whether all of a stream is refused."""

import threading
from contextlib import closing

from ledgers import begin

from bucket_loader.delivery.chunks import spread_over, unsent
from bucket_loader.delivery.queue import Queue
from bucket_loader.delivery.span import Span
from bucket_loader.model.chunks import Chunk
from bucket_loader.planning import plan_file
from bucket_loader.state.ledger import Intent, Ledger

COMPANIES = """
- name: companies
  record: company
  sync: full
  source: {type: csv, path: companies.csv}
  fields: {companyId: id, userId: user}
"""


def test_what_a_worker_has_taken_is_no_sample():
    """Its intent may not be committed yet, so the ledger does not know of it: it would be sent twice at once."""
    taken, other = (Chunk(0, (number,), (b"{}",)) for number in range(2))
    queue = Queue(iter([taken, other]), threading.Event(), room=lambda: 1, one_is_enough=lambda: False)
    assert queue.take("a worker") == [taken]

    queue.take_first([taken, other])

    assert queue.sample() == other
    assert queue.sample() is None


def test_a_sample_overtakes_nothing_that_a_death_has_left(workplace, tmp_path):
    """The first chunk was out when a run died, and is sent again: no later one that names its company goes before."""
    rows = [(0 if number == 650 else number, number) for number in range(1_000)]
    workplace.write("companies.csv", "id,user\n" + "".join(f"c{id_},u{user}\n" for id_, user in rows))
    workplace.pipeline(COMPANIES)
    workplace.command("plan")
    planned = plan_file.read(next(workplace.folder.glob(".bucket_loader/*/plans/*")), verify=False)
    (span,) = map(Span, planned.manifest.streams)
    with closing(Ledger(tmp_path / "ledger.db")) as ledger:
        begin(ledger, planned.manifest.run)
        first = next(unsent(planned, ledger, span))
        ledger.commit(planned.manifest.run, [Intent(first)])
        ledger.recover(planned.manifest.run, 0, hold=False)
        found = spread_over(planned, ledger, span, frozenset({1, 2, 3}))

    assert first.sequences == range(100)
    assert [chunk.sequences[0] for chunk in found] == [200, 400]  # not the one at 600, which names c0 too
