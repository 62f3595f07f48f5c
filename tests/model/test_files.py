"""Files that are written whole: complete under their name, or not there."""

from pathlib import Path

import pytest

from bucket_loader.model.files import Disk, written_whole


def test_a_file_is_there_when_it_is_complete_and_not_before(tmp_path):
    """Whoever looks meanwhile sees what was there before; the file is for its owner alone."""
    path = tmp_path / "file.txt"
    path.write_bytes(b"before")
    with written_whole(path) as file:
        file.write(b"after")
        file.flush()
        assert path.read_bytes() == b"before"

    assert path.read_bytes() == b"after"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_what_breaks_off_leaves_nothing(tmp_path):
    """Neither half a file nor its beginning beside it; what was there before stays."""
    path = tmp_path / "file.txt"
    path.write_bytes(b"before")

    def break_off():
        with written_whole(path) as file:
            file.write(b"half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        break_off()

    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_death_left_is_overwritten(tmp_path):
    """A killed process leaves its beginning; the next one is whole all the same."""
    path = tmp_path / "file.txt"
    path.with_name("file.txt.unfinished").write_bytes(b"much longer than what follows")
    with written_whole(path) as file:
        file.write(b"whole")

    assert path.read_bytes() == b"whole"
    assert list(tmp_path.iterdir()) == [path]


def test_a_disk_says_how_much_is_free_where_a_file_will_lie(tmp_path):
    """Also before its folders are made: it asks the nearest one that is there."""
    nearest = Disk().free_bytes(tmp_path)
    later = Disk().free_bytes(tmp_path / "state" / "plans" / "run")

    assert nearest is not None
    assert abs(later - nearest) < nearest / 2
    assert Disk().free_bytes(Path("/proc/self")) is None  # 0 of 0: nobody says
