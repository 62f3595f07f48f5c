"""The lock of a state's folder: it ends with its process, and says truly why it cannot be had."""

import errno
import fcntl
import os
import signal
import subprocess
import sys
import time
from contextlib import closing

import pytest

from bucket_loader.model.errors import StateError, StateLockedError
from bucket_loader.state.ledger.connecting import Waiting
from bucket_loader.state.lock import Lock

NOW = Waiting()


@pytest.fixture
def path(tmp_path):
    """The file that is locked."""
    return tmp_path / "lock"


@pytest.mark.parametrize("name", ["ENOLCK", "EOPNOTSUPP", "ENOSYS", "EINVAL", "EIO"])
def test_a_file_system_that_does_not_lock_is_named(path, monkeypatch, name):
    """It is exit 2 with what the system says, not another copy; where the ledger itself locks, it is no matter."""

    def refuse(*_):
        number = getattr(errno, name)
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with closing(Lock(path)) as lock, pytest.raises(StateError, match="file system") as told:
        lock.take(NOW)
    with closing(Lock(path, is_needed=False)) as lock:
        lock.take(NOW)

    assert told.value.exit_code == 2
    assert os.strerror(getattr(errno, name)) in str(told.value)
    assert "another copy" not in str(told.value)


def test_who_waited_for_a_file_that_was_removed_locks_the_one_that_is_there(path):
    """Two that opened different files under one name never both go on."""
    with closing(Lock(path)) as first, closing(Lock(path)) as waiting:
        first.take(NOW)
        path.unlink()
        with closing(Lock(path)) as second:
            second.take(NOW)
            first.close()
            with pytest.raises(StateLockedError):
                waiting.take(NOW)
        waiting.take(NOW)


LIVES_ON = """
import os, sys, time, ctypes, pathlib
from bucket_loader.state.lock import Lock
from bucket_loader.state.ledger.connecting import Waiting
lock = Lock(pathlib.Path(sys.argv[1]))
lock.take(Waiting())
child = {fork}
if child == 0:
    os.close(1)
    time.sleep(60)
    os._exit(0)
{ends}
print(child, flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize(
    ("fork", "ends"),
    [("os.fork()", ""), ("ctypes.CDLL(None).fork()", "lock.close()")],
    ids=["killed", "a fork that Python does not know of"],
)
def test_the_lock_ends_with_the_run_also_when_a_fork_lives_on(path, fork, ends):
    """A killed run's fork holds nothing; and what ends in order lets go, whoever else has the file open."""
    script = LIVES_ON.format(fork=fork, ends=ends)
    with subprocess.Popen([sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE) as run:
        child = int(run.stdout.readline())
        try:
            with closing(Lock(path)) as lock:
                if not ends:
                    with pytest.raises(StateLockedError):
                        lock.take(NOW)
                    time.sleep(0.1)  # the fork has let go by then
                    run.kill()
                    run.wait()
                lock.take(NOW)
        finally:
            os.kill(child, signal.SIGKILL)
            run.kill()


def test_a_program_that_a_run_starts_has_no_part_in_the_lock(path):
    """The file is closed in it, even where all that may be inherited is."""
    with closing(Lock(path)) as lock:
        lock.take(NOW)
        with subprocess.Popen(["sleep", "60"], close_fds=False) as other:
            lock._file.close()  # as a death does: without unlocking
            with closing(Lock(path)) as after:
                after.take(NOW)
            other.kill()
