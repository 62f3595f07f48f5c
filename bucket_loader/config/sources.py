"""Where rows come from: the models of the source types, and the table with a row for each of them.

A new source type is a model and a row here, and the class that reads it. Other packages bring rows of their own
(`plugins.py`).
"""

from dataclasses import dataclass
from encodings.aliases import aliases
from typing import Annotated, Any, Final, Literal, Self, get_args

from pydantic import (
    AwareDatetime,
    ConfigDict,
    Field,
    SecretStr,
    model_validator,
)

from bucket_loader.config.addresses import PATH_PARAMETER, Endpoint, Location, scheme_of
from bucket_loader.config.databases import DbtSource, SqlSource
from bucket_loader.config.scalars import Model, Sql
from bucket_loader.config.source_base import SourceSpec
from bucket_loader.config.spark import SparkFrameSource, SparkSource
from bucket_loader.config.sql_text import sql_parameters
from bucket_loader.model import did_you_mean


class Storage(Model):
    """Where a remote store is, when it is not its provider's own. Credentials never stand here."""

    endpoint: Endpoint | None = Field(
        default=None, description="the URL of a store that speaks the provider's protocol, such as MinIO"
    )
    region: str | None = Field(default=None, min_length=1, description="of an s3:// bucket")
    account: str | None = Field(default=None, min_length=1, description="of an az:// container")
    anonymous: bool = Field(default=False, description="read without credentials, as public data allows")


class FileSource(SourceSpec):
    """What all sources of files have: a file, a glob, or a folder with everything below it."""

    path: Location
    storage: Storage | None = None
    new_files: bool = Field(
        default=False, description="load each file once, ever: a file is known by its name, size and content"
    )

    @model_validator(mode="after")
    def _storage_is_remote(self) -> Self:
        if self.storage is not None and scheme_of(self.path) in {None, "http", "https"}:
            raise ValueError("`storage:` is for a path that begins with s3://, gs:// or az://")
        return self


class CsvSource(FileSource):
    """CSV or TSV files: every value is text until a field says otherwise."""

    type: Literal["csv", "tsv"]
    delimiter: str | None = Field(default=None, min_length=1, max_length=1)
    quote: Annotated[str, Field(max_length=1)] = '"'
    escape: str | None = Field(
        default=None, min_length=1, max_length=1, description="makes a quote, delimiter, line break or itself plain"
    )
    encoding: str = "utf-8"
    header: bool = True
    names: list[str] | None = None
    null_values: list[str] = Field(default=[])
    compression: Literal["auto", "none", "gzip", "zstd"] = "auto"

    @model_validator(mode="after")
    def _names_or_header(self) -> Self:
        if not self.header and self.names is None:
            raise ValueError("`header: false` needs `names:`, the columns in order")
        try:
            "".encode(self.encoding)
        except LookupError:
            known = [name.replace("_", "-") for name in aliases.values()]
            advice = did_you_mean(self.encoding, known, "write for example utf-8 or cp1252")
            raise ValueError(f"no encoding is named {self.encoding!r}; {advice}") from None
        return self


class ParquetSource(FileSource):
    """Parquet files."""

    type: Literal["parquet"]


class JsonLinesSource(FileSource):
    """JSON Lines: one object a line."""

    type: Literal["jsonl"]
    columns: list[str] = Field(default=[], description="columns to have even where no line has them; null then")
    compression: Literal["auto", "none", "gzip", "zstd"] = "auto"


class ArrowSource(FileSource):
    """Arrow IPC files and streams, which Feather files are."""

    type: Literal["arrow"]


class ExcelSource(FileSource):
    """A sheet of Excel workbooks (.xlsx)."""

    type: Literal["excel"]
    sheet: str | None = Field(default=None, min_length=1, description="needed where there are several")
    header_row: int = Field(default=1, ge=1, description="the sheet's row that names the columns")


class DeltaSource(SourceSpec):
    """A Delta Lake table, as it was at one version."""

    type: Literal["delta"]
    path: Location
    storage: Storage | None = None
    version: int | None = Field(default=None, ge=0)
    at: AwareDatetime | None = Field(default=None, description="the version that was current then")

    @model_validator(mode="after")
    def _one_version(self) -> Self:
        if self.version is not None and self.at is not None:
            raise ValueError("`version:` and `at:` both choose a version; give one of them")
        if scheme_of(self.path) in {"http", "https"}:
            raise ValueError("a Delta table is read from a disk, s3://, gs:// or az://")
        return self


class IcebergSource(SourceSpec):
    """An Iceberg table, as it was at one snapshot: from a catalog, or from a metadata file."""

    type: Literal["iceberg"]
    table: str | None = Field(default=None, min_length=1, description="its name in the catalog, `namespace.table`")
    catalog: dict[str, SecretStr] = Field(
        default={}, description="its name, and properties as PyIceberg calls them: type, uri, warehouse ..."
    )
    metadata: Location | None = Field(default=None, description="a metadata file, `.../v3.metadata.json`")
    snapshot: int | None = None

    @model_validator(mode="after")
    def _table_or_metadata(self) -> Self:
        if (self.table is None) == (self.metadata is None):
            raise ValueError("needs either `table:` with `catalog:`, or `metadata:`")
        if self.table is not None and not self.catalog:
            raise ValueError("`table:` needs `catalog:`, for example {type: rest, uri: https://catalog.example}")
        return self


class QuerySource(SourceSpec):
    """A query over the named sources, run by DuckDB."""

    type: Literal["query"]
    sql: Sql


class FrameSource(SourceSpec):
    """A DataFrame handed to `load()`; it cannot be written in a file."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)
    type: Literal["frame"] = "frame"
    frame: Any = Field(exclude=True)


class FixtureSource(SourceSpec):
    """A small file that stands for a source in a rehearsal; it cannot be written in a file.

    Attributes:
        read: the file; None stands for a source of which no fixture was given.
        typed: whether the header of a CSV file may say the types that the columns of the source have.
    """

    type: Literal["fixture"] = "fixture"
    read: SourceSpec | None = Field(default=None, exclude=True)
    typed: bool = False


# --- the table -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceType:
    """One source type.

    Attributes:
        model: what may be written of it; its `type` holds the names.
        opens: the class that reads it, as `module:Class`. Named, not imported: a pipeline over CSV never pays for
            loading pandas, and `--help` pays for nothing.
        suffixes: how its files are called, for `init`.
        place: the word that `init` writes a path under.
        library: what it is read with, where that comes with an extra.
        extra: the extra of this package that installs it.
        is_for_files: whether a pipeline file may name it; the others are for programs.
        is_all_rows: whether all bytes of its files are rows, so that their size tells how many come.
    """

    model: type[SourceSpec]
    opens: str
    suffixes: tuple[str, ...] = ()
    place: str = "path"
    library: str = ""
    extra: str = ""
    is_for_files: bool = True
    is_all_rows: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """The names that `type:` may have, the main one first."""
        return get_args(self.model.model_fields["type"].annotation)

    @property
    def name(self) -> str:
        """The main name."""
        return self.names[0]


SOURCE_TYPES: Final = (
    SourceType(
        model=CsvSource,
        opens="bucket_loader.sources.files.csv:CsvFiles",
        suffixes=(".csv", ".tsv", ".txt"),
        is_all_rows=True,
    ),
    SourceType(
        model=ParquetSource,
        opens="bucket_loader.sources.files.parquet:ParquetFiles",
        suffixes=(".parquet", ".pq"),
        is_all_rows=True,
    ),
    SourceType(
        model=JsonLinesSource,
        opens="bucket_loader.sources.files.jsonl:JsonLines",
        suffixes=(".jsonl", ".ndjson", ".json"),
        is_all_rows=True,
    ),
    SourceType(
        model=ArrowSource,
        opens="bucket_loader.sources.files.arrow_ipc:ArrowFiles",
        suffixes=(".arrow", ".arrows", ".feather", ".ipc"),
        is_all_rows=True,
    ),
    SourceType(
        model=ExcelSource,
        opens="bucket_loader.sources.files.excel:Workbooks",
        suffixes=(".xlsx", ".xlsm"),
        library="openpyxl",
        extra="excel",
    ),
    SourceType(
        model=DeltaSource,
        opens="bucket_loader.sources.lakes.delta:DeltaLake",
        library="deltalake",
        extra="delta",
    ),
    SourceType(
        model=IcebergSource,
        opens="bucket_loader.sources.lakes.iceberg:Iceberg",
        suffixes=(".metadata.json",),
        place="metadata",
        library="pyiceberg",
        extra="iceberg",
    ),
    SourceType(model=QuerySource, opens="bucket_loader.sources.query:Query"),
    SourceType(model=SqlSource, opens="bucket_loader.sources.databases.sql:Database"),
    SourceType(model=DbtSource, opens="bucket_loader.sources.dbt.source:DbtModel"),
    SourceType(model=SparkSource, opens="bucket_loader.sources.spark.rows:SparkRows", library="pyspark", extra="spark"),
    SourceType(
        model=SparkFrameSource,
        opens="bucket_loader.sources.spark.rows:SparkRows",
        library="pyspark",
        extra="spark",
        is_for_files=False,
    ),
    SourceType(model=FrameSource, opens="bucket_loader.sources.frame:Frame", is_for_files=False),
    SourceType(model=FixtureSource, opens="bucket_loader.sources.fixture:Fixture", is_for_files=False),
)


def type_of_path(path: str, rows: tuple[SourceType, ...] = SOURCE_TYPES) -> SourceType | None:
    """Return the source type that a path's end speaks for, the longest end first; None where none does."""
    ends = [(end, row) for row in rows for end in row.suffixes if path.endswith(end)]
    return max(ends, key=lambda found: len(found[0]))[1] if ends else None


def shown_suffixes() -> list[str]:
    """Return the ends of file names that a message lists: those that say their type, else a type's first."""
    found: list[str] = []
    for row in SOURCE_TYPES:
        if issubclass(row.model, FileSource):
            found += [end for end in row.suffixes if end[1:] in row.names] or row.suffixes[:1]
    return found


def interval_is_used(spec: SourceSpec) -> bool:
    """Whether what a source reads depends on the interval; a query in a file may, so it counts."""
    texts = [getattr(spec, name, None) for name in ("sql", "query")]
    if any(name.startswith("interval_") for text in texts if text for name in sql_parameters(text)):
        return True
    return PATH_PARAMETER.search(getattr(spec, "path", None) or "") is not None or bool(getattr(spec, "query_file", ""))
