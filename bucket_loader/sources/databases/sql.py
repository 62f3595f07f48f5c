"""A table or a query of a database, by its URL. A new database is one class, and one line in the table here."""

import hashlib
import os
import re
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, cast

from bucket_loader.config import SQL_PARAMETERS, SqlSource, sql_parameters
from bucket_loader.model import Reading, SourceError
from bucket_loader.sources.base import SourceContext
from bucket_loader.sources.databases.address import Address, address_of, database_scheme
from bucket_loader.sources.databases.server import Engine, SourceQuery
from bucket_loader.sources.files.listing import missing
from bucket_loader.sources.files.local import LocalFile, named, open_file


@dataclass(frozen=True)
class _Driver:
    """What reads a kind of server: our class, the module that it needs, the extra that brings that."""

    engine: str
    module: str
    extra: str


_FILES: Final = {
    "sqlite": "bucket_loader.sources.databases.sqlite:Sqlite",
    "duckdb": "bucket_loader.sources.databases.duckdb:DuckDb",
}
_POSTGRES: Final = _Driver("bucket_loader.sources.databases.postgres:Postgres", "adbc_driver_postgresql", "postgres")
_MYSQL: Final = _Driver("bucket_loader.sources.databases.mysql:MySql", "pymysql", "mysql")
_SERVERS: Final = {
    "postgresql": _POSTGRES,
    "postgres": _POSTGRES,
    "redshift": _Driver("bucket_loader.sources.databases.postgres:Redshift", "adbc_driver_postgresql", "postgres"),
    "mysql": _MYSQL,
    "mariadb": _MYSQL,
    "snowflake": _Driver("bucket_loader.sources.databases.snowflake:Snowflake", "adbc_driver_snowflake", "snowflake"),
    "bigquery": _Driver("bucket_loader.sources.databases.bigquery:BigQuery", "google.cloud.bigquery", "bigquery"),
}
_ANY_OTHER: Final = _Driver("bucket_loader.sources.databases.alchemy:Alchemy", "sqlalchemy", "sqlalchemy")
_HINT: Final = (
    "write sqlite:///relative.db, sqlite:////absolute.db, duckdb:///relative.duckdb, or a server's URL: "
    "postgresql://host/database, mysql://, redshift://, snowflake://, bigquery://, or what SQLAlchemy reads"
)


class Database:
    """A table or a query of a database; `relation` is its table as the database itself spells it."""

    def __init__(self, spec: SqlSource, context: SourceContext, relation: str | None = None) -> None:
        self._spec = spec
        self._context = context
        self._engine = _engine(spec, context)
        if spec.table is None:
            self._sql = query_of(spec, context)
        else:
            relation = relation or ".".join(map(self._engine.quoted, table_parts(spec.table)))
            self._sql = _whole(relation, self._engine, context.cursor_column)

    def fingerprint(self) -> str:
        """Identify the database's content, the query and its parameters."""
        bound = sorted((name, str(value)) for name, value in self._query().parameters.items())
        return hashlib.sha256(repr((self._engine.fingerprint(), self._sql, bound)).encode()).hexdigest()

    def read(self) -> Reading:
        """Run the query, and stream its rows."""
        return self._engine.read(self._query())

    def _query(self) -> SourceQuery:
        used = sorted(set(sql_parameters(self._sql, self._spec.dialect)))
        return SourceQuery(
            self._sql,
            self._spec.table or "query",
            self._context.bound(used),
            self._spec.statement_timeout,
            self._context.is_used,
        )


def _engine(spec: SqlSource, context: SourceContext) -> Engine:
    """Find the engine of a URL. No message here shows the URL, which may hold a password."""
    url = spec.url.get_secret_value()
    scheme = database_scheme(url)
    if scheme in _FILES:
        if spec.user is not None or spec.password is not None or spec.statement_timeout is not None:
            raise SourceError(
                f"a {scheme} file takes no `user:`, `password:` or `statement_timeout:`", hint="remove them"
            )
        return cast("Engine", _loaded(_FILES[scheme])(_file(url, scheme, context)))
    if not scheme:
        raise SourceError("the database URL is no URL", hint=_HINT)
    driver = _SERVERS.get(scheme, _ANY_OTHER)
    address = address_of(spec) if driver is not _ANY_OTHER else _opaque(spec, scheme)
    if not _installed(driver.module):
        raise SourceError(
            f"reading {scheme} needs the module {driver.module}, which is not installed",
            hint=f"pip install 'bucket-loader[{driver.extra}]'",
        )
    return cast("Engine", _loaded(driver.engine)(address))


def _loaded(place: str) -> Any:  # noqa: ANN401  # one of several classes
    module, name = place.split(":")
    return getattr(import_module(module), name)


def _installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # the package around it
        return False


def _opaque(spec: SqlSource, scheme: str) -> Address:
    """Return a URL whose parts only SQLAlchemy knows."""
    user, password = (None if one is None else one.get_secret_value() for one in (spec.user, spec.password))
    return Address(scheme, "", "", {}, user, password, spec.url.get_secret_value().strip())


def _file(url: str, scheme: str, context: SourceContext) -> LocalFile:
    rest = url.partition("://")[2]
    if not rest.startswith("/") or rest.strip("/") in {"", ":memory:"}:
        raise SourceError(
            f"the {scheme} URL names no file",
            hint=f"write three slashes and the path from the pipeline file's folder, {scheme}:///relative.db; "
            f"or four for an absolute path, {scheme}:////absolute.db",
        )
    path = context.base.absolute() / Path(rest[1:])
    if "?" in rest and not path.exists():  # options, of which one may be a password, and not a file's name to show
        raise SourceError(
            f"the {scheme} URL has options, and a file takes none", hint="remove the `?` and what follows"
        )
    if not os.path.lexists(path):
        raise missing(rest[1:], context.base.absolute())
    return named(path, context)


def _whole(relation: str, engine: Engine, cursor_column: str | None) -> str:
    """Return the query of a table: all of it, or what is new where the stream has a cursor."""
    new = f" WHERE {engine.quoted(cursor_column)} >= :cursor" if cursor_column is not None else ""
    return f"SELECT * FROM {relation}{new}"


def query_of(spec: SqlSource, context: SourceContext) -> str:
    """Return the query of a source, from its file where it has one; empty where it has a table.

    Raises:
        SourceError: the file cannot be read, or uses a parameter that is not bound.
    """
    if spec.query_file is None:
        return spec.query or ""
    path = context.base.absolute() / Path(spec.query_file)
    if not os.path.lexists(path):
        raise missing(spec.query_file, context.base.absolute())
    file = named(path, context)
    try:
        with open_file(file) as stream:
            text = stream.read().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise SourceError(f"{file.name} is not UTF-8", hint="save the query as UTF-8") from None
    for name in sql_parameters(text, spec.dialect):
        if name not in SQL_PARAMETERS:
            known = ", ".join(f":{known}" for known in SQL_PARAMETERS)
            raise SourceError(f"{file.name}: :{name} is not bound in a query", hint=f"what is bound: {known}")
    return text


def table_parts(table: str) -> list[str]:
    """Take `schema.name` apart; a part in double quotes may hold dots, or quotes written twice."""
    parts = re.findall(r'("(?:[^"]|"")+"(?=\.|$)|[^.]+)', table)
    return [part[1:-1].replace('""', '"') if part.startswith('"') and part.endswith('"') else part for part in parts]
