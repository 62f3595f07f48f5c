"""Prefetch: an iterator in a thread of its own, a few items before whoever takes them."""

import contextlib
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import takewhile
from typing import Any, Final, TypeVar

from bucket_loader.model.clock import SYSTEM, Clock

_END: Final = object()

Item = TypeVar("Item")
Made = TypeVar("Made")


def prefetched(items: Iterator[Item], stopped: threading.Event, count: int, clock: Clock = SYSTEM) -> Generator[Item]:
    """Return items that another thread takes from their iterator, until it ends or `stopped` is set.

    Who waits here waits in Python, where a signal is heard.

    Args:
        items: asked by that thread alone.
        stopped: ends both sides; to be set by a taker that leaves early.
        count: how many are held ready at the most.
        clock: whose threads are used.

    Raises:
        BaseException: what `items` raised.
    """
    ready = clock.queue.Queue(count)
    reader = clock.threading.Thread(target=lambda: _read(items, ready, stopped, clock), name="reader", daemon=True)
    try:
        reader.start()
    except RuntimeError:  # no thread can be had
        yield from takewhile(lambda _: not stopped.is_set(), items)
        return
    try:
        while not stopped.is_set():
            with contextlib.suppress(clock.queue.Empty):
                item = ready.get(timeout=clock.look_s)
                if item is _END:
                    return
                if isinstance(item, BaseException):
                    raise item
                yield item
    except (KeyboardInterrupt, GeneratorExit):
        stopped.set()  # the taker could not, and the reader would wait for room until the end of time
        raise
    finally:
        reader.join()  # nobody else is in `items` from here on


def side_by_side(work: Callable[[Item], Made], items: Sequence[Item], most: int) -> Iterator[Made]:
    """Return what is made of items, in their order, several at once; one after the other where threads are wanting."""
    futures: list[Future[Made]] = []
    with ThreadPoolExecutor(most) as pool:
        try:
            futures += [pool.submit(work, item) for item in (items if len(items) > 1 else ())]
        except RuntimeError:  # no thread can be had
            pool.shutdown(cancel_futures=True)
        yield from (future.result() for future in futures)
    yield from map(work, items[len(futures) :])


def _read(items: Iterator[Any], ready: Any, stopped: threading.Event, clock: Clock) -> None:  # noqa: ANN401  # a queue
    try:
        for item in items:
            _put(item, ready, stopped, clock)
            if stopped.is_set():
                return
        _put(_END, ready, stopped, clock)
    except BaseException as error:  # noqa: BLE001  # re-raised where the items are taken
        _put(error, ready, stopped, clock)


def _put(item: object, ready: Any, stopped: threading.Event, clock: Clock) -> None:  # noqa: ANN401  # a queue
    while not stopped.is_set():
        with contextlib.suppress(clock.queue.Full):
            ready.put(item, timeout=clock.look_s)
            return
