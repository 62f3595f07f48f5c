"""The same export, the same bytes on the wire: whatever the machine around it says, and through kills."""

import pytest
from driver import Load, Processes, bucket

pytestmark = pytest.mark.rehearsal
SIZE = {"users": 60, "companies": 40, "events": 300, "refused": 0}
CHUNKS = 60 // 20 + 40 // 20 + 300 // 20
COMBINATIONS = [
    {"concurrency": 1}, {"concurrency": 16}, {"concurrency": "auto"}, {"TZ": "America/New_York"},
    {"TZ": "Asia/Kathmandu", "LANG": "de_DE.UTF-8", "LC_ALL": "de_DE.UTF-8"}, {"LANG": "C", "LC_ALL": "C"},
    {"LC_ALL": "tr_TR.UTF-8"}, {"PYTHONHASHSEED": "1"}, {"PYTHONHASHSEED": "4294967295"}, {"kills": 1},
    {"kills": 1, "concurrency": 1, "PYTHONHASHSEED": "7"}, {"kills": 2, "concurrency": 16, "TZ": "Pacific/Apia"},
    {"kills": 3, "LC_ALL": "C", "concurrency": "auto"}, {"TZ": "Europe/Lisbon", "concurrency": 16},
    {"LANG": "ar_EG.UTF-8", "LC_ALL": "ar_EG.UTF-8"}, {"PYTHONUTF8": "0", "LC_ALL": "C"}, {"PYTHONHASHSEED": "random"},
    {"TZ": "<+1245>-12:45", "PYTHONHASHSEED": "3"}, {"kills": 2, "TZ": "Asia/Kathmandu", "PYTHONHASHSEED": "5"},
    {"concurrency": 3, "TZ": "UTC", "LANG": "ja_JP.UTF-8", "kills": 1},
]  # fmt: skip


def bodies_of(folder, endpoint, *, concurrency=4, kills=0, **environment):
    """Load into an empty emulator, with kills in between, and give the bodies that it accepted, each once."""
    with bucket(endpoint.url) as it:
        load = Load(folder, it, Processes(), concurrency=concurrency, environment=environment, **SIZE)
        it.faults({"kind": "latency", "seconds": 0.05 if kills else 0.0})
        for _ in range(kills):
            child = load.start()
            load.wait_for_requests(4, child)
            assert child.kill()
        it.faults()
        assert load.run() == 0, load.stderr()
        return it.bodies()


@pytest.fixture(scope="module")
def plain(tmp_path_factory, endpoints):
    """What an ordinary run sends."""
    return bodies_of(tmp_path_factory.mktemp("plain"), endpoints[0], TZ="UTC", LANG="C.UTF-8", PYTHONHASHSEED="0")


@pytest.mark.parametrize(
    "around",
    COMBINATIONS,
    ids=lambda around: "_".join(f"{name}-{value}" for name, value in around.items()).replace("/", "-"),
)
def test_the_requests_are_the_same_bytes(tmp_path, endpoints, plain, around):
    """Concurrency, time zone, locale, hash seed, and kills with their resumes change no byte of any request."""
    assert bodies_of(tmp_path / "here", endpoints[0], **around) == plain
    assert len(plain) == CHUNKS
