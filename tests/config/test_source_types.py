"""The table of source types: each row is whole, and no two speak for the same thing."""

import tomllib
from importlib import import_module
from itertools import chain
from pathlib import Path

import pytest

from bucket_loader.config.plugins import type_of
from bucket_loader.config.sources import SOURCE_TYPES, FileSource, type_of_path

ROOT = Path(__file__).parents[2]
IDS = [row.name for row in SOURCE_TYPES]


@pytest.mark.parametrize("row", SOURCE_TYPES, ids=IDS)
def test_a_row_leads_to_a_class_that_reads(row):
    """The class that is named is there, and is what a source is."""
    module, name = row.opens.split(":")

    reader = getattr(import_module(module), name)

    assert callable(reader.fingerprint)
    assert callable(reader.read)
    assert type_of(row.model) is row


@pytest.mark.parametrize("row", [row for row in SOURCE_TYPES if row.extra], ids=lambda row: row.name)
def test_an_extra_is_one_of_the_package(row):
    """What the hint tells to install can be installed."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]

    assert any(wanted.startswith(row.library) for wanted in extras[row.extra])


@pytest.mark.parametrize("facts", ["names", "suffixes"])
def test_no_two_rows_share_a_name_or_a_suffix(facts):
    """A name, or the end of a path, means one source type."""
    found = list(chain.from_iterable(getattr(row, facts) for row in SOURCE_TYPES))

    assert len(set(found)) == len(found)


@pytest.mark.parametrize("row", [row for row in SOURCE_TYPES if row.suffixes], ids=lambda row: row.name)
def test_a_path_speaks_for_its_type(row):
    """The longest end wins: `v3.metadata.json` is Iceberg's, though JSON Lines may end in `.json`."""
    assert [type_of_path(f"folder/v3{end}") for end in row.suffixes] == [row] * len(row.suffixes)
    assert issubclass(row.model, FileSource) or row.place in row.model.model_fields
