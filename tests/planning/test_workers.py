"""Worker processes, where they are started: other files lie there, and what goes wrong comes back."""

import pytest

from bucket_loader.model import BucketLoaderError
from bucket_loader.planning.engine.processes import Processes


class UnreadableError(Exception):
    """An error that pickles, and cannot be read again."""

    def __init__(self, one, other):
        super().__init__(f"{one} and {other}")


def twice(items):
    """Yield each item twice; a 0 is not to be had."""
    for item in items:
        if item == 0:
            raise UnreadableError("this", "that")
        yield item * 2


twice.travels = True


def test_a_file_that_is_called_like_a_module_of_python_is_not_taken_for_it(tmp_path, monkeypatch):
    """The folder in which the command runs is the user's."""
    (tmp_path / "queue.py").write_text("raise SystemExit(1)\n", "utf-8")
    monkeypatch.chdir(tmp_path)
    with Processes(2) as processes:
        assert sorted(processes.run(twice, [1, 2, 3])) == [2, 4, 6]


def test_an_error_that_cannot_be_read_again_ends_the_work():
    """It comes back as its words; nobody waits for a worker that has said all."""
    with Processes(2) as processes, pytest.raises(BucketLoaderError, match="UnreadableError: this and that"):
        list(processes.run(twice, [1, 0]))
