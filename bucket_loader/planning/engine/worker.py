"""A worker process: told all by its standard input, it says what it made on its standard output, and ends with both."""

import os
import pickle
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from dataclasses import replace
from queue import SimpleQueue
from typing import Any, BinaryIO

from bucket_loader.model import BucketLoaderError
from bucket_loader.planning.engine.messages import End, Failed, Job, Wants
from bucket_loader.planning.engine.spool import spooled
from bucket_loader.planning.engine.stage import Stage


def main() -> None:
    """Work until there is nobody left to work for."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears it, and ends this process
    told: SimpleQueue[Any] = SimpleQueue()
    say = _Voice(_own_output())
    threading.Thread(target=_listen, args=(told,), daemon=True).start()
    while True:
        job = told.get()
        if isinstance(job, End):  # of items that were given out to the last one
            continue
        try:
            for made in _made(job, _items(told, say)):
                say(made)
        except BaseException as error:  # noqa: BLE001  # raised again by the parent
            error.add_note("".join(traceback.format_exception(error)))
            say(Failed(_carried(error)))
        else:
            say(End())


def _carried(error: BaseException) -> BaseException:
    """Return an error, or what stands for one that no other process can read: that one would wait for ever."""
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301  # this process has made it
    except Exception:  # noqa: BLE001  # an error may do anything when it is pickled
        found = BucketLoaderError(f"{type(error).__name__}: {error}")
        found.add_note("".join(traceback.format_exception(error)))
        return found
    return error


def _made(job: Job, items: Iterator[Any]) -> Iterator[Any]:
    if isinstance(job.function, Stage):
        stage = replace(job.function, key=job.key)
        return spooled(stage, stage(items))
    return job.function(items)  # type: ignore[no-any-return, operator]


def _items(told: "SimpleQueue[Any]", say: "_Voice") -> Iterator[Any]:
    while not isinstance(item := told.get(), End):
        say(Wants())
        yield item


def _listen(told: "SimpleQueue[Any]") -> None:
    """Hear the parent; its end is also that of this process, whatever it is doing."""
    try:
        while True:
            told.put(pickle.load(sys.stdin.buffer))  # noqa: S301  # from this very package
    finally:
        os._exit(1)


def _own_output() -> BinaryIO:
    """Return the standard output, which nothing else can write to any more."""
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return output


class _Voice:
    """Says one message at a time, from whatever thread."""

    def __init__(self, output: BinaryIO) -> None:
        self._output = output
        self._lock = threading.Lock()

    def __call__(self, message: object) -> None:
        with self._lock:
            pickle.dump(message, self._output)
            self._output.flush()


if __name__ == "__main__":
    main()
