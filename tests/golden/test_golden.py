"""Golden bytes: a change in what our pipelines send is a change that somebody has looked at.

Where the change is meant, write the files anew and read the difference:

    BUCKET_LOADER_UPDATE_GOLDEN=1 python -m pytest tests/golden
    git diff tests/golden
"""

import pytest
from golden_helpers import GOLDEN, NAMES, UPDATE, digests, first_records, flattening, planned

FLATTENED = ("backfill", "quickstart")  # they have lists


@pytest.fixture(scope="module", autouse=True)
def updated(tmp_path_factory):
    """Write the golden files anew where that is asked for."""
    if UPDATE:
        for name in NAMES:
            found = planned(name, tmp_path_factory.mktemp(name))
            (GOLDEN / f"{name}.sha256").write_text(digests(found), "utf-8")
            (GOLDEN / f"{name}.jsonl").write_text(first_records(found), "utf-8")


@pytest.mark.parametrize("name", NAMES)
def test_the_requests_are_the_golden_ones(tmp_path, name):
    """Every request's body has the bytes it had when the golden files were written."""
    found = planned(name, tmp_path)

    assert first_records(found) == (GOLDEN / f"{name}.jsonl").read_text("utf-8")
    assert digests(found) == (GOLDEN / f"{name}.sha256").read_text("utf-8")


@pytest.mark.parametrize("name", FLATTENED)
def test_flattened_requests_are_the_bytes_of_all_versions(tmp_path, name):
    """With `arrays: flatten` every request's body is what it was before lists were sent whole."""
    found = planned(name, tmp_path / "state", flattening(name, tmp_path))

    assert digests(found) == (GOLDEN / f"{name}.flatten.sha256").read_text("utf-8")


@pytest.mark.parametrize("name", NAMES)
def test_the_bytes_do_not_depend_on_the_surroundings(tmp_path, name):
    """Another time zone, the C locale without UTF-8, and another hash seed give the same bytes."""
    elsewhere = {"TZ": "Asia/Tokyo", "LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0",
                 "PYTHONHASHSEED": "1"}  # fmt: skip

    assert digests(planned(name, tmp_path, **elsewhere)) == (GOLDEN / f"{name}.sha256").read_text("utf-8")


def test_golden_files_are_of_pipelines_that_exist():
    """Every pipeline has its two golden files, a third where it has lists, and no file is left over from another."""
    kept = {path.name for path in GOLDEN.iterdir() if path.suffix in {".sha256", ".jsonl"}}

    both = {f"{name}{suffix}" for name in NAMES for suffix in (".sha256", ".jsonl")}
    assert kept == both | {f"{name}.flatten.sha256" for name in FLATTENED}
