import json
import os
import stat
import threading

import pytest

from bucket_loader.model.errors import StateUnavailableError
from bucket_loader.model.rows import Origin, Reason, Rejection
from bucket_loader.state import dead_letters
from bucket_loader.state.dead_letters import DeadLetters


def letter(number, text="Zoë ✉"):
    """Return an entry about a row."""
    rejection = Rejection(
        stage="deliver", origin=Origin("users.csv", number), reasons=(Reason("refused", "no", "userId"),),
        row={"id": text, "n": number}, record={"userId": text}, response={"status": 400, "body": None},
    )  # fmt: skip
    return dead_letters.entry(rejection, run="run", stream="users", number=str(number))


@pytest.fixture
def path(tmp_path):
    """Where the file will be."""
    return tmp_path / "dead_letters" / "run.jsonl"


def test_entries_are_read_as_they_were_written(path):
    """One JSON object a line, with everything a person needs to find the row."""
    written = [letter(1), letter(2, "line\nbreak \u2028 \x00"), letter(3)]

    assert DeadLetters(path).append(written) == 3
    assert list(dead_letters.read(path)) == written
    lines = path.read_bytes().splitlines(keepends=True)
    assert [json.loads(line)["id"] for line in lines] == ["run/users/1", "run/users/2", "run/users/3"]
    assert json.loads(lines[0]).keys() == {
        "id", "run", "stream", "stage", "origin", "reasons", "row", "record", "response", "at",
    }  # fmt: skip


def test_nothing_makes_no_file(path):
    """The file is made with the first entry."""
    assert DeadLetters(path).append([]) == 0
    assert not path.exists()


def test_only_its_owner_reads_it(path):
    """The file is 0600 and its folder 0700, whatever the umask."""
    before = os.umask(0)
    try:
        DeadLetters(path).append([letter(1)])
    finally:
        os.umask(before)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_link_is_not_followed(path, tmp_path):
    """A link in the file's place is refused, and what it points to stays as it was."""
    target = tmp_path / "target"
    target.write_text("precious")
    path.parent.mkdir()
    path.symlink_to(target)

    with pytest.raises(StateUnavailableError, match="symbolic links"):
        DeadLetters(path).append([letter(1)])
    assert target.read_text() == "precious"


def test_an_entry_is_synced_before_append_returns(path, monkeypatch):
    """What `append` has returned from survives a power cut: the file is synced after its last byte."""
    synced, fsync = [], os.fsync
    monkeypatch.setattr(os, "fsync", lambda opened: (synced.append(os.fstat(opened)), fsync(opened)))
    DeadLetters(path).append([letter(1)])

    assert (path.stat().st_ino, path.stat().st_size) in [(one.st_ino, one.st_size) for one in synced]
    assert synced[-1].st_ino == path.parent.stat().st_ino  # the new name survives as well


def test_a_torn_line_costs_no_entry_but_its_own(path):
    """Wherever a crash cut the last line, the entries before it and after it are read."""
    DeadLetters(path).append([letter(1), letter(2)])
    whole = path.read_bytes()
    first = whole.index(b"\n") + 1
    for cut in range(first, len(whole)):
        path.write_bytes(whole[:cut])
        DeadLetters(path).append([letter(3)])
        found = [entry.id for entry in dead_letters.read(path)]

        assert found in (["run/users/1", "run/users/3"], ["run/users/1", "run/users/2", "run/users/3"])


@pytest.mark.parametrize(
    "noise", [b"\x00" * 50, b"\xff\xfe\n", b"{}\n", b"[]\n", b"null\n", b'{"id":"\xff"}\n', b"\n\n"]
)
def test_noise_is_passed_over(path, noise):
    """Lines that are no entries, zeros of a power cut among them, are passed over."""
    DeadLetters(path).append([letter(1)])
    with path.open("ab") as file:
        file.write(noise)
    DeadLetters(path).append([letter(2)])

    assert [entry.id for entry in dead_letters.read(path)] == ["run/users/1", "run/users/2"]


def test_an_entry_written_twice_is_read_once(path):
    """An id that a crash let be written again is dropped the second time."""
    letters = DeadLetters(path)
    letters.append([letter(1), letter(2)])
    letters.append([letter(2), letter(3)])

    assert [entry.id for entry in dead_letters.read(path)] == ["run/users/1", "run/users/2", "run/users/3"]
    assert sum(group.count for group in dead_letters.grouped(path)) == 3


def test_threads_do_not_mix_their_lines(path):
    """Entries of many threads are all there, each a line of its own."""
    letters = DeadLetters(path)

    def work(worker):
        for number in range(25):
            letters.append([letter(worker * 100 + number, "x" * 3_000)])

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(list(dead_letters.read(path))) == 200
    assert len(path.read_bytes().splitlines()) == 200


def test_half_a_write_is_finished(path, monkeypatch):
    """A system that takes only some of the bytes at once is given the rest."""
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:7]))
    DeadLetters(path).append([letter(1), letter(2)])

    assert len(list(dead_letters.read(path))) == 2
