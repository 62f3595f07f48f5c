"""Sources: one class each, and the table from what the pipeline file says to the class.

A new source is one class with `fingerprint()` and `read()`, one line here, and one line in the conformance suite.
"""

from importlib import import_module
from typing import Final, cast

from bucket_loader.config import (
    ArrowSource,
    CsvSource,
    DeltaSource,
    ExcelSource,
    FrameSource,
    IcebergSource,
    JsonLinesSource,
    ParquetSource,
    QuerySource,
    SqlSource,
)
from bucket_loader.model import Source
from bucket_loader.sources.base import SourceContext

AnySourceSpec = (
    CsvSource
    | ParquetSource
    | JsonLinesSource
    | ArrowSource
    | ExcelSource
    | DeltaSource
    | IcebergSource
    | QuerySource
    | SqlSource
    | FrameSource
)

# Named, not imported: a pipeline over CSV never pays for loading pandas, and `--help` pays for nothing.
_CLASSES: Final[dict[type, str]] = {
    CsvSource: "bucket_loader.sources.files.csv:CsvFiles",
    ParquetSource: "bucket_loader.sources.files.parquet:ParquetFiles",
    JsonLinesSource: "bucket_loader.sources.files.jsonl:JsonLines",
    ArrowSource: "bucket_loader.sources.files.arrow_ipc:ArrowFiles",
    ExcelSource: "bucket_loader.sources.files.excel:Workbooks",
    DeltaSource: "bucket_loader.sources.lakes.delta:DeltaLake",
    IcebergSource: "bucket_loader.sources.lakes.iceberg:Iceberg",
    QuerySource: "bucket_loader.sources.query:Query",
    SqlSource: "bucket_loader.sources.databases.sql:Database",
    FrameSource: "bucket_loader.sources.frame:Frame",
}


def open_source(spec: AnySourceSpec, context: SourceContext) -> Source:
    """Give the source that `spec` describes; nothing is opened before it is asked."""
    module, name = _CLASSES[type(spec)].split(":")
    return cast("Source", getattr(import_module(module), name)(spec, context))
