"""Mapping: rows in, records as JSON text out, through one SELECT compiled from `fields:`.

`compile_mapping` turns a stream's words and a source's columns into a `Mapping`; `Mapping.apply` takes a batch and
gives as many verdicts as it has rows: a record, a filtered row, or what is wrong, worded for those rows only.
"""

from bucket_loader.planning.mapping.apply import Mapped, Mapping
from bucket_loader.planning.mapping.asked import NOTHING_ASKED, Asked
from bucket_loader.planning.mapping.columns import asked_columns, excluded_names
from bucket_loader.planning.mapping.compiler import compile_mapping
from bucket_loader.planning.mapping.nested.lists import Arrays
from bucket_loader.planning.mapping.noticed import Noticed
from bucket_loader.planning.mapping.paths import path_of
from bucket_loader.planning.mapping.select import subject_of_ids

__all__ = [
    "NOTHING_ASKED",
    "Arrays",
    "Asked",
    "Mapped",
    "Mapping",
    "Noticed",
    "asked_columns",
    "compile_mapping",
    "excluded_names",
    "path_of",
    "subject_of_ids",
]
