"""What the tests of the sources share."""

from pathlib import Path

from bucket_loader.config.sources import (
    ArrowSource,
    CsvSource,
    DeltaSource,
    ExcelSource,
    IcebergSource,
    JsonLinesSource,
    ParquetSource,
    QuerySource,
    SqlSource,
)
from bucket_loader.sources.base import SourceContext
from bucket_loader.sources.files.csv import CsvFiles
from bucket_loader.sources.registry import open_source
from bucket_loader.testing import Read


def csv_source(base: Path, data: bytes | str, *, name="data.csv", block_bytes=None, **words):
    """Write a CSV file and give the source of it."""
    (base / name).write_bytes(data.encode() if isinstance(data, str) else data)
    spec = CsvSource(**{"type": "csv", "path": name, **words})
    return CsvFiles(spec, SourceContext(base), **({"block_bytes": block_bytes} if block_bytes else {}))


def read_csv(base: Path, data: bytes | str, **words) -> Read:
    """Write a CSV file and read it through the source."""
    return Read(csv_source(base, data, **words))


def parquet_source(base: Path, path: str, **context):
    """Return the source of a Parquet path."""
    return open_source(ParquetSource(type="parquet", path=path), SourceContext(base, **context))


def jsonl_source(base: Path, data: bytes | str, *, name="data.jsonl", **words):
    """Write a JSON Lines file and give the source of it."""
    (base / name).write_bytes(data.encode() if isinstance(data, str) else data)
    return open_source(JsonLinesSource(type="jsonl", path=name, **words), SourceContext(base))


def arrow_source(base: Path, path: str):
    """Return the source of an Arrow path."""
    return open_source(ArrowSource(type="arrow", path=path), SourceContext(base))


def excel_source(base: Path, path: str, **words):
    """Return the source of a workbook."""
    return open_source(ExcelSource(type="excel", path=path, **words), SourceContext(base))


def delta_source(base: Path, path: str, **words):
    """Return the source of a Delta table."""
    return open_source(DeltaSource(type="delta", path=path, **words), SourceContext(base))


def iceberg_source(base: Path, **words):
    """Return the source of an Iceberg table."""
    return open_source(IcebergSource(type="iceberg", **words), SourceContext(base))


def sql_source(base: Path, url: str, *, parameters=None, **words):
    """Return the source of a database."""
    return open_source(SqlSource(type="sql", url=url, **words), SourceContext(base, parameters=parameters or {}))


def query_source(base: Path, sql: str, tables=None, parameters=None):
    """Return the source of a query."""
    context = SourceContext(base, tables=tables or {}, parameters=parameters or {})
    return open_source(QuerySource(type="query", sql=sql), context)
