"""One emulator for each test file, emptied before each test; and one browser."""

from collections.abc import Iterator
from urllib.parse import urlsplit

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


@pytest.fixture(scope="module")
def browser():
    """Run one browser for a whole file."""
    from browser import running_browser

    with running_browser() as running_one:
        yield running_one


@pytest.fixture
def page(browser):
    """Return a tab, which must not have complained, nor have asked any host but the emulator."""
    with browser.page() as tab:
        yield tab
        tab.run("1")  # whatever it still had to say comes first
        assert tab.complaints == []
        assert {urlsplit(url).hostname for url in tab.requested if url != "about:blank"} <= {"127.0.0.1"}
