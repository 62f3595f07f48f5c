"""From a source to the datasets that it reads. A source type that is not here reads nothing that has a name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import singledispatch
from pathlib import Path
from urllib.parse import urlsplit

from bucket_loader.config import (
    DbtSource,
    DeltaSource,
    FileSource,
    IcebergSource,
    QuerySource,
    SourceSpec,
    SqlSource,
)
from bucket_loader.model import SourceError
from bucket_loader.sources.base import SourceContext
from bucket_loader.sources.databases.address import database_scheme
from bucket_loader.sources.databases.sql import query_of
from bucket_loader.sources.dbt.source import sql_of
from bucket_loader.sources.lineage.databases import naming_of, table_dataset
from bucket_loader.sources.lineage.files import file_dataset, path_dataset
from bucket_loader.sources.lineage.queries import Read, Table, read_by
from bucket_loader.sources.lineage.upstream import NOTHING, Dataset, DatasetColumn, Upstream, only


@dataclass(frozen=True)
class Around:
    """What a source's lineage depends on beside its own words.

    Attributes:
        base: the folder of the pipeline file.
        sources: the named sources, for queries over them.
    """

    base: Path
    sources: Mapping[str, SourceSpec]


@singledispatch
def upstream_of(_spec: SourceSpec, _around: Around) -> Upstream:
    """Return what a source reads."""
    return NOTHING


@upstream_of.register
def _(spec: FileSource | DeltaSource, around: Around) -> Upstream:
    return only(file_dataset(spec, around.base))


@upstream_of.register
def _(spec: IcebergSource, around: Around) -> Upstream:
    if spec.metadata is not None:  # <table>/metadata/v3.metadata.json
        table = spec.metadata.rpartition("/")[0].removesuffix("/metadata")
        return only(path_dataset(table, around.base))
    uri = spec.catalog["uri"].get_secret_value() if "uri" in spec.catalog else ""
    host = urlsplit(uri).netloc.rpartition("@")[2]
    return only(Dataset(f"iceberg://{host}" if host else "iceberg", spec.table or ""))


@upstream_of.register
def _(spec: SqlSource, around: Around) -> Upstream:
    naming = naming_of(spec, around.base)
    if spec.table is not None:
        return only(table_dataset(spec.table, naming))
    try:
        query = query_of(spec, SourceContext(around.base))
    except SourceError:  # the source itself says so
        query = ""
    read = read_by(query, database_scheme(spec.url.get_secret_value()))
    if read is None:
        return Upstream((naming(()),))  # the database as a whole
    return _joined(read, lambda table: only(naming(table)))


@upstream_of.register
def _(spec: DbtSource, around: Around) -> Upstream:
    try:
        in_sql, relation = sql_of(spec, SourceContext(around.base))
    except SourceError:  # the source itself says so
        return NOTHING
    if spec.query is not None:
        return upstream_of(in_sql, around)
    return only(table_dataset(relation.replace("`", '"'), naming_of(in_sql, around.base)))


@upstream_of.register
def _(spec: QuerySource, around: Around) -> Upstream:
    read = read_by(spec.sql, "duckdb")
    if read is None:
        return NOTHING
    named = {name.lower(): source for name, source in around.sources.items()}

    def below(table: Table) -> Upstream:
        source = named.get(table[-1].lower())
        return NOTHING if source is None or isinstance(source, QuerySource) else upstream_of(source, around)

    return _joined(read, below)


def _joined(read: Read, below: Callable[[Table], Upstream]) -> Upstream:
    """Return what a query reads, by what is below each of its tables."""
    tables = {table: below(table) for table in read.tables}
    columns: dict[str, tuple[DatasetColumn, ...]] = {}
    for name, origins in read.columns.items():
        found = [one for table, column in origins for one in tables[table].columns_of(column)]
        columns[name] = tuple(dict.fromkeys(found))
    whole = tables[read.tables[0]] if read.is_whole else NOTHING
    datasets = tuple(dict.fromkeys(dataset for one in tables.values() for dataset in one.datasets))
    return Upstream(datasets, {**whole.columns, **columns}, is_whole=whole.is_whole)
