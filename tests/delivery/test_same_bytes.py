"""The same export, the same bytes on the wire: whatever the machine around it says."""

import signal

import pytest
from bench import KEY, stub
from loading import Loading

EVENTS, USERS = 300, 120


def bodies_of(folder, *, concurrency=4, kill=False, **environment):
    """Load into a stub and give the bodies that came, each once, sorted."""
    with stub(delay_s=0.05 if kill else 0.0) as bucket:
        loading = Loading(folder, bucket.url, KEY, EVENTS, USERS, concurrency, environment)
        if kill:
            process = loading.start()
            while len(bucket.bodies) < 5 and process.poll() is None:
                bucket._pause.wait(0.01)
            process.send_signal(signal.SIGKILL)
            loading.wait(process)
        assert loading.wait(loading.start()) == 0, loading.stderr()
    return sorted(set(bucket.bodies))


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """What an ordinary run sends."""
    return bodies_of(tmp_path_factory.mktemp("plain"), TZ="UTC", LANG="C.UTF-8", PYTHONHASHSEED="0")


@pytest.mark.parametrize(
    "around",
    [
        {"concurrency": 1}, {"concurrency": 16}, {"concurrency": "auto"}, {"TZ": "America/New_York"},
        {"TZ": "Asia/Kathmandu", "LANG": "de_DE.UTF-8", "LC_ALL": "de_DE.UTF-8"}, {"LANG": "C", "LC_ALL": "C"},
        {"LC_ALL": "tr_TR.UTF-8"}, {"PYTHONHASHSEED": "1"}, {"PYTHONHASHSEED": "4294967295"}, {"kill": True},
        {"kill": True, "concurrency": 1, "PYTHONHASHSEED": "7"},
    ],
    ids=lambda around: "_".join(f"{name}-{value}" for name, value in around.items()).replace("/", "-"),
)  # fmt: skip
def test_the_requests_are_the_same_bytes(tmp_path, plain, around):
    """Concurrency, time zone, locale, hash seed, and a kill with its resume change no byte of any request."""
    assert bodies_of(tmp_path / "here", **around) == plain
    assert len(plain) == (EVENTS + USERS) // 20
