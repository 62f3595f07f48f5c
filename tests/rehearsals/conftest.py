"""What starts the program quickly, what harms it at its system calls, and emulators for a few loads at once."""

from contextlib import ExitStack

import pytest
from driver import AT_ONCE, KEY, starter
from harm import shim
from points import Tools
from remote import stores

from bucket_loader.emulator.http.server import running


@pytest.fixture(scope="session")
def endpoints():
    """Emulators, for as many loads at once."""
    with ExitStack() as stack:
        yield [stack.enter_context(running(secret_key=KEY)) for _ in range(AT_ONCE)]


@pytest.fixture(scope="session")
def forks():
    """What starts the program quickly."""
    with starter() as it:
        yield it


@pytest.fixture(scope="module")
def store():
    """A store for the files of many states."""
    with pytest.MonkeyPatch.context() as patch, stores.s3(patch) as it:
        yield it


@pytest.fixture(scope="session")
def tools(tmp_path_factory, endpoints):
    """What harms the program at its system calls."""
    library = shim(tmp_path_factory.mktemp("shim"))
    with starter(LD_PRELOAD=str(library)) as it:
        yield Tools(it, library, endpoints)
