"""What pytest is told: options, the fixture, what a failing test shows. The rest is imported when it is used."""

import os
from collections.abc import Generator, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import pytest

from bucket_loader.integrations.pytest import URL_VARIABLE

if TYPE_CHECKING:
    from typing import Protocol

    from bucket_loader.integrations.pytest.bucket import Bucket
    from bucket_loader.integrations.pytest.shared import Shared

    class _Node(Protocol):
        """A worker, as pytest-xdist shows it."""

        config: pytest.Config
        workerinput: dict[str, Any]


pytest.register_assert_rewrite("bucket_loader.testing.read", "bucket_loader.testing.sources")

_OPTIONS: Final = {
    "features": "file with the body of GET /features: what each test begins with",
    "evaluation": "evaluate rules and keep lists as the API did in 2025, or as since autumn 2026 (default)",
}
_STRICT: Final = "refuse what Bucket takes, and then drops or changes without an error"
_SHARED: "Final[pytest.StashKey[Shared]]" = pytest.StashKey()
_USED: "Final[pytest.StashKey[Bucket]]" = pytest.StashKey()
_FOR_WORKERS: Final = "bucket_emulator_port"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options, on the command line and in the ini file."""
    group = parser.getgroup("bucket", "bucket: a local Bucket API (bucket-loader)")
    for name, text in _OPTIONS.items():
        group.addoption(f"--bucket-{name}", help=f"{text} (ini: bucket_{name})")
        parser.addini(f"bucket_{name}", text, type="string", default=None)
    group.addoption("--bucket-strict", action="store_true", default=None, help=f"{_STRICT} (ini: bucket_strict)")
    parser.addini("bucket_strict", _STRICT, type="bool", default=False)


@pytest.fixture(scope="session")
def bucket_session(pytestconfig: pytest.Config) -> "Iterator[Bucket]":
    """The same as `bucket` for a fixture of the whole session, such as a server with its keys; nothing is reset."""
    from bucket_loader.integrations.pytest.session import opened

    with opened(pytestconfig, _port(pytestconfig)) as bucket:
        yield bucket


@pytest.fixture
def bucket(request: pytest.FixtureRequest, bucket_session: "Bucket") -> "Bucket":
    """A local Bucket API, empty, with keys of its own: `bucket.url`, `bucket.secret_key`, `bucket.flag(...)`, ..."""
    bucket_session.reset()
    request.node.stash[_USED] = bucket_session
    return bucket_session


@pytest.hookimpl(hookwrapper=True)  # pytest 7 may come with a pluggy that knows no other
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, None]:
    """Show beside a failure what the API was sent and refused."""
    report: pytest.TestReport = (yield).get_result()
    used = item.stash.get(_USED, None)
    if report.failed and used is not None:
        report.sections.append(("bucket", used.told()))


# --- pytest-xdist: who starts the workers starts the emulator, once, when the first of them asks -------------------


def _port(config: pytest.Config) -> int | None:
    """Return where a worker asks for the emulator; None where there are no workers."""
    port: int | None = getattr(config, "workerinput", {}).get(_FOR_WORKERS)
    return port


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: "_Node") -> None:
    """Tell a worker where to ask for the emulator, unless there is one already."""
    if os.environ.get(URL_VARIABLE):
        return
    shared = node.config.stash.get(_SHARED, None)
    if shared is None:
        from bucket_loader.integrations.pytest.process import start
        from bucket_loader.integrations.pytest.shared import Shared

        shared = node.config.stash[_SHARED] = Shared(partial(start, node.config))
    node.workerinput[_FOR_WORKERS] = shared.port


def pytest_unconfigure(config: pytest.Config) -> None:
    """End the emulator that was shared."""
    shared = config.stash.get(_SHARED, None)
    if shared is not None:
        shared.close()
