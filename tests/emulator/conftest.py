"""One emulator for each test file, emptied before each test."""

from collections.abc import Iterator

import pytest
from emulator_api import PUBLISHABLE, SECRET, Api

from bucket_loader.emulator.http.server import running


@pytest.fixture(scope="module")
def shared_api() -> Iterator[Api]:
    """Run one emulator for a whole file."""
    with running(secret_key=SECRET, publishable_key=PUBLISHABLE) as endpoint:
        api = Api(endpoint)
        yield api
        api.session.close()


@pytest.fixture
def api(shared_api: Api) -> Api:
    """Return the file's emulator, empty and without faults."""
    shared_api.reset()
    return shared_api
