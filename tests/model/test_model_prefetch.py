"""Items that are read ahead: whoever takes them may be interrupted at any moment, and nobody waits for nobody."""

import threading
from itertools import count

import pytest

from bucket_loader.model import prefetched


def test_an_interrupt_while_the_next_item_is_waited_for_ends_the_reader_too():
    """The interrupt comes up inside, before the taker can say that it leaves, while the reader waits for room."""
    items = prefetched(count(), threading.Event(), 1)
    next(items)

    def interrupt():
        with pytest.raises(KeyboardInterrupt):
            items.throw(KeyboardInterrupt())

    taker = threading.Thread(target=interrupt, daemon=True)
    taker.start()
    taker.join(10)
    assert not taker.is_alive()
