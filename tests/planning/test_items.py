"""Text files planned by several processes: these read the files themselves, and the plan is the same."""

from pathlib import Path

import pytest
from test_processes import told
from text_export import AS_OF, write_texts
from workplace import Workplace

from bucket_loader.sources.files import items
from bucket_loader.sources.files.csv_rows import CsvRows
from bucket_loader.sources.files.items import items_of
from bucket_loader.sources.files.jsonl import JsonLinesRows, Look


@pytest.fixture(scope="module")
def export(tmp_path_factory):
    """Return a folder with an export of text files."""
    write_texts(folder := tmp_path_factory.mktemp("texts") / "files")
    return folder


def planned(export, state, count):
    """Plan by the command; return the plan's folder."""
    words = ["--state", str(state), "--as-of", AS_OF, "--processes", count, "--json"]
    result = Workplace(export, "http://127.0.0.1:9").command("plan", *words)
    assert result.exit_code == 0, result.stderr
    return Path(result.summary["plan"])


@pytest.fixture(scope="module")
def alone(export, tmp_path_factory):
    """Return the plan that one process makes."""
    return planned(export, tmp_path_factory.mktemp("alone"), "1")


@pytest.mark.parametrize("count", ["2", pytest.param("3", marks=pytest.mark.long)])
def test_the_plan_of_text_files_is_the_same_whatever_made_it(export, alone, tmp_path, monkeypatch, count):
    """CSV and JSON Lines with all that may be wrong in them: by one process, and by workers that read every row."""
    for reads in (CsvRows, JsonLinesRows, Look):
        monkeypatch.setattr(reads, "__call__", None)  # of this process alone
    monkeypatch.setenv("TZ", "Pacific/Auckland")
    monkeypatch.setenv("PYTHONHASHSEED", count)
    (accounts, usage), _ = told(alone)

    assert min(accounts.counts.rejected, usage.counts.rejected, accounts.counts.superseded) > 100
    assert min(len(accounts.parts), len(usage.parts)) > 1
    assert told(planned(export, tmp_path, count)) == told(alone)


class OfSize:
    """A file of so many bytes; None where nobody knows."""

    def __init__(self, size):
        self.bytes = size

    def size(self):
        """Return its bytes."""
        return self.bytes


@pytest.mark.parametrize(
    ("sizes", "cuts", "weights"),
    [
        ([], [], []),
        ([0], [1], [1]),
        ([1, 2, 3, 99, 4, 6, 9], [4, 2, 1], [10, 1, 1]),
        ([None, 10], [2], [1]),
        ([10, 10, 3], [1, 1, 1], [1, 1, 1]),
    ],
)
def test_files_are_put_together_until_they_have_bytes_enough(monkeypatch, sizes, cuts, weights):
    """In their order; a file is never cut, but weighs more, and the last item has what is left."""
    monkeypatch.setattr(items, "ITEM_BYTES", 10)
    files = [OfSize(size) for size in sizes]
    found = items_of(files)

    assert [one.number for one in found] == list(range(len(cuts)))
    assert [len(one.files) for one in found] == cuts
    assert [one.weight for one in found] == weights
    assert [file for one in found for file in one.files] == files
