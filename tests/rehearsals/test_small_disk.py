"""A disk that is really small: a run that cannot fit ends before it begins, one that can fills it and ends well.

The disk is a file system in memory, which the program alone sees: it runs in a name space of its own.
"""

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.rehearsal, pytest.mark.smalldisk]
ROWS = 20_000
MOUNTS = 'mount -t tmpfs -o "size=$SIZE" none .bucket_loader && exec "$@"'


def run(workplace, size):
    """Run the pipeline with its state on a disk of this size."""
    folder = workplace.folder / ".bucket_loader"
    folder.mkdir(exist_ok=True)
    words = [sys.executable, "-m", "bucket_loader", "run", str(workplace.folder / "pipeline.yaml"), "--json"]
    environment = os.environ | {"SIZE": size, "BUCKET_BASE_URL": workplace.url, "BUCKET_SECRET_KEY": workplace.key}
    return subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", MOUNTS, "sh", *words],
        cwd=workplace.folder, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.fixture
def events(workplace):
    """A workplace whose run takes about 10 MB."""
    dice = random.Random(1)  # noqa: S311
    lines = "".join(f"{number},u{number % 700},{dice.getrandbits(800):x}\n" for number in range(ROWS))
    workplace.write("events.csv", "n,user,note\n" + lines)
    workplace.pipeline(
        """
        - name: events
          record: event
          source: {type: csv, path: events.csv}
          key: [n]
          fields: {userId: user, event: {value: did}, attributes: {note: note}}
        """
    )
    return workplace


@pytest.mark.parametrize(("size", "code", "sent"), [("1m", 75, 0), ("4m", 75, None), ("64m", 0, ROWS)])
def test_a_small_disk_lets_a_run_end_whole_or_not_begin(events, emulator, size, code, sent):
    """Far too small: refused. Too small, and nobody knows before: it ends as on any full disk. Else it fits."""
    done = run(events, size)
    words = " ".join(done.stderr.split())

    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert ("the run needs at least" in words) == (size == "1m")
    assert ("warning: the run may need up to" in words) == (size == "4m")
    assert sent is None or emulator.state()["events"] == sent
    assert code == 0 or "make room on its disk" in words or "free" in words
    assert Path(events.folder, "events.csv").exists()
