"""What tables of databases are called: by the server, and by database, schema and table as that kind spells them."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from bucket_loader.config import SqlSource
from bucket_loader.model import SourceError
from bucket_loader.sources.databases.address import Address, address_of, database_scheme
from bucket_loader.sources.databases.sql import table_parts
from bucket_loader.sources.lineage.upstream import Dataset

Naming = Callable[[Sequence[str]], Dataset]
"""Returns the dataset of a table, by the parts of its name."""

_FILES: Final = {"sqlite", "duckdb"}
_PORTS: Final = {"postgres": 5432, "mysql": 3306, "redshift": 5439, "mssql": 1433, "oracle": 1521, "trino": 8080}
_NAMESPACES: Final = {"postgresql": "postgres", "mariadb": "mysql"}
_SCHEMAS: Final = {"postgres": "public", "redshift": "public", "mssql": "dbo"}
_REDSHIFT: Final = ".amazonaws.com"


def naming_of(spec: SqlSource, base: Path) -> Naming:
    """Return what names the tables of a source's database."""
    url = spec.url.get_secret_value().strip()
    scheme = database_scheme(url)
    if scheme in _FILES:
        return _of_file(scheme, (base.absolute() / url.partition("://")[2].partition("?")[0][1:]).resolve())
    try:
        address = address_of(spec)
    except SourceError:  # only SQLAlchemy knows its parts
        return lambda parts: Dataset(scheme or "database", ".".join(parts) or "database")
    return _OF_SERVERS.get(address.scheme, _of_server)(address)


def table_dataset(table: str, naming: Naming) -> Dataset:
    """Return the dataset of `table:`."""
    return naming(table_parts(table))


def _of_file(scheme: str, path: Path) -> Naming:
    def named(parts: Sequence[str]) -> Dataset:
        whole = [*[path.stem, "main"][: max(0, 3 - len(parts))], *parts] if scheme == "duckdb" else parts
        return Dataset(f"{scheme}://{path}", ".".join(whole) or path.stem)

    return named


def _of_server(address: Address) -> Naming:
    """Name tables as `database.schema.table`, or `database.table` where the kind has no schemas."""
    kind = _NAMESPACES.get(address.scheme, address.scheme)
    port = address.port or _PORTS.get(kind)
    namespace = f"{kind}://{_host(kind, address)}" + (f":{port}" if port else "")
    database = [address.path.partition("/")[0] or address.user or ""]
    above = [*database, *([_SCHEMAS[kind]] if kind in _SCHEMAS else [])]

    def named(parts: Sequence[str]) -> Dataset:
        missing = above[: max(0, len(above) + 1 - len(parts))] if parts else database
        return Dataset(namespace, ".".join(filter(None, [*missing, *parts])) or kind)

    return named


def _host(kind: str, address: Address) -> str:
    host = (address.host or "localhost").lower()
    labels = host.split(".")
    if kind == "redshift" and host.endswith(_REDSHIFT):  # cluster.id.region.redshift.amazonaws.com
        return f"{labels[0]}.{labels[2]}"
    return host


def _of_snowflake(address: Address) -> Naming:
    account = (address.host or "").removesuffix(".snowflakecomputing.com")
    above = [part for part in address.path.split("/") if part][:2]

    def named(parts: Sequence[str]) -> Dataset:
        whole = [*above[: max(0, 3 - len(parts))], *parts]
        return Dataset(f"snowflake://{account}", ".".join(map(_in_capitals, whole)) or account)

    return named


def _in_capitals(name: str) -> str:
    """Return a plain identifier as Snowflake keeps it."""
    return name.upper() if name.islower() else name


def _of_bigquery(address: Address) -> Naming:
    above = [part for part in (address.host or "", *address.path.split("/")) if part]

    def named(parts: Sequence[str]) -> Dataset:
        return Dataset("bigquery", ".".join([*above[: max(0, 3 - len(parts))], *parts]))

    return named


_OF_SERVERS: Final = {"snowflake": _of_snowflake, "bigquery": _of_bigquery}
