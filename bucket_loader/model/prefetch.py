"""Reading ahead: an iterator in a thread of its own, a few items before whoever takes them."""

import contextlib
import queue
import threading
from collections.abc import Generator, Iterator
from typing import Final, TypeVar

WAIT_S: Final = 0.5  # how often either side looks whether it is still wanted

Item = TypeVar("Item")


def ahead(items: Iterator[Item], stopped: threading.Event, count: int) -> Generator[Item]:
    """Return items that another thread takes from their iterator, until it ends or `stopped` is set.

    Who waits here waits in Python, where a signal is heard.

    Args:
        items: asked by that thread alone.
        stopped: ends both sides; to be set by a taker that leaves early.
        count: how many are held ready at the most.

    Raises:
        BaseException: what `items` raised.
    """
    ready: queue.Queue[Item | BaseException | None] = queue.Queue(count)

    def put(item: Item | BaseException | None) -> None:
        while not stopped.is_set():
            with contextlib.suppress(queue.Full):
                ready.put(item, timeout=WAIT_S)
                return

    def read() -> None:
        try:
            for item in items:
                put(item)
                if stopped.is_set():
                    return
            put(None)
        except BaseException as error:  # noqa: BLE001  # re-raised where the items are taken
            put(error)

    reader = threading.Thread(target=read, name="reader", daemon=True)
    reader.start()
    try:
        while not stopped.is_set():
            with contextlib.suppress(queue.Empty):
                item = ready.get(timeout=WAIT_S)
                if item is None:
                    return
                if isinstance(item, BaseException):
                    raise item
                yield item
    finally:
        reader.join()  # nobody else is in `items` from here on
