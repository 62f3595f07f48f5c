"""Chunks that are sent before all others, to see whether all of a stream is refused."""

import threading

from bucket_loader.delivery.queue import Queue
from bucket_loader.model.chunks import Chunk


def test_what_a_worker_has_taken_is_no_sample():
    """Its intent may not be committed yet, so the ledger does not know of it: it would be sent twice at once."""
    taken, other = (Chunk(0, (number,), (b"{}",)) for number in range(2))
    queue = Queue(iter([taken, other]), threading.Event(), room=lambda: 1, one_is_enough=lambda: False)
    assert queue.take("a worker") == [taken]

    queue.take_first([taken, other])

    assert queue.sample() == other
    assert queue.sample() is None
