"""MySQL and MariaDB: rows streamed as the server spells them, and brought to Arrow types in bulk.

The server sends text, and the driver would make a Python object of each value; left as text, a batch is converted at
once, more than twice as fast, and nothing is rounded on the way.
"""

import re
import ssl
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from bucket_loader.config import SqlDialect, sql_code
from bucket_loader.model import BATCH_BYTES_MAX, InputBatch, SourceError
from bucket_loader.sources.base import repeated, without_rows, zoneless
from bucket_loader.sources.databases.mysql_types import Column, column_of, values
from bucket_loader.sources.databases.server import (
    CONNECT_S,
    Server,
    SourceQuery,
    repeated_columns,
    with_names,
    without_values,
)
from bucket_loader.sources.values.casting import asked, given

if TYPE_CHECKING:
    import pyarrow as pa
    import pymysql

_Connection = Any
_Cursor = Any

# Rows fetched at once: few at first, until it is known how big they are.
_FIRST_ROWS: Final = 64
_ROWS_AT_ONCE: Final = 16_384
# Seconds that the server waits for us to take more; its own 60 end a long stream in the middle.
_WRITE_S: Final = 3600
_PORT: Final = 3306

# Source: the servers' lists of error numbers, and PyMySQL's constants.
_LATER: Final = frozenset(
    {1040, 1053, 1077, 1152, 1158, 1159, 1160, 1161, 1203, 1205, 1213, 1226, 1927, 2002, 2003, 2005, 2006, 2013, 2014,
     2055}
)  # fmt: skip
_TOO_SLOW: Final = frozenset({1317, 1969, 3024})
_WRITES: Final = frozenset({1290, 1792, 1836})
# Errors whose words are names and syntax, never a value of a row.
_NAMES_ARE_SHOWN: Final = frozenset(
    {1044, 1045, 1046, 1049, 1052, 1054, 1055, 1056, 1060, 1064, 1066, 1109, 1140, 1142, 1143, 1146, 1222, 1227, 1248,
     1305, 1356, 1370, 1698, 3780, 4078}
)  # fmt: skip
_OPTIONS: Final = ("ssl_mode", "ssl_ca", "ssl_cert", "ssl_key", "unix_socket", "charset", "connect_timeout")
_SSL_MODES: Final = ("disabled", "preferred", "required", "verify_ca", "verify_identity")


class MySql(Server):
    """A MySQL or MariaDB server."""

    dialect: SqlDialect = "backslash"

    @staticmethod
    def quoted(name: str) -> str:
        """Spell an identifier."""
        return "`" + name.replace("`", "``") + "`"

    def stream(self, query: SourceQuery) -> Iterator[InputBatch]:
        """Run the query; its columns are known before the first row."""
        import pyarrow as pa

        sql = self.one_select(query.sql)
        words = re.findall(r"\w+", sql_code(sql, self.dialect).lower())
        # Neither is stopped by a read-only transaction: a file on the server, and a comment that is executed.
        if "into" in words:
            raise self.writes()
        if "/*!" in sql or "/*M!" in sql:
            raise self.refused("the query has an executable comment", hint="write what it says without the comment")
        with self._connected(query) as connection, self._worded(query):
            self._begin(connection, query)
            sql, floats = self._exact_floats(connection, sql, query)
            with _streaming(connection) as cursor:
                _execute(cursor, sql, query)
                columns = self._columns(cursor, floats)
                schema = pa.schema([(column.name, column.kind) for column in columns])
                yield without_rows(schema, query.origin)
                yield from _batches(cursor, columns, schema, query)

    def _begin(self, connection: _Connection, query: SourceQuery) -> None:
        with closing(connection.cursor()) as cursor:
            cursor.execute("SET SESSION time_zone = '+00:00'")
            # So that texts end where we think they do, in the query and in a CHAR.
            cursor.execute(
                "SET SESSION sql_mode = REPLACE(REPLACE(REPLACE(@@sql_mode, 'ANSI_QUOTES', ''), "
                "'NO_BACKSLASH_ESCAPES', ''), 'PAD_CHAR_TO_FULL_LENGTH', '')"
            )
            cursor.execute(f"SET SESSION net_write_timeout = {_WRITE_S}")
            if query.timeout_s is not None:
                cursor.execute(
                    f"SET SESSION max_statement_time = {query.timeout_s:.3f}"
                    if "mariadb" in connection.server_version.lower()
                    else f"SET SESSION max_execution_time = {max(1, round(query.timeout_s * 1000))}"
                )
            cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")

    def _exact_floats(self, connection: _Connection, sql: str, query: SourceQuery) -> tuple[str, frozenset[str]]:
        """Ask for a table's FLOAT columns as DOUBLE, and name them: the server shows six digits of a FLOAT."""
        if query.origin == "query":
            return sql, frozenset()
        with closing(connection.cursor()) as cursor:
            cursor.execute(f"{sql} LIMIT 0")
            fields = cursor._result.fields  # noqa: SLF001  # its description lacks the flags
        floats = frozenset(field.name for field in fields if _is_float(field))
        if not floats:
            return sql, floats
        names = {field.name: self.quoted(field.name) for field in fields}
        shown = [f"{spelt} + 0e0 AS {spelt}" if name in floats else spelt for name, spelt in names.items()]
        return f"SELECT {', '.join(shown)}{sql.removeprefix('SELECT *')}", floats

    def _columns(self, cursor: _Cursor, floats: frozenset[str]) -> list[Column]:
        import pyarrow as pa

        fields = cursor._result.fields  # noqa: SLF001  # as above
        repeated_columns(self, repeated(field.name for field in fields))
        columns = [column_of(field, self) for field in fields]
        return [replace(column, kind=pa.float32()) if column.name in floats else column for column in columns]

    @contextmanager
    def _connected(self, query: SourceQuery) -> Iterator[_Connection]:
        connection = self._connect(query)
        try:
            yield connection
        finally:
            if connection.open:
                connection.close()

    def _connect(self, query: SourceQuery) -> _Connection:
        import pymysql
        from pymysql.converters import conversions

        # What is left of the table is how to write values; how to read them has numbers for keys.
        writing = {kind: convert for kind, convert in conversions.items() if not isinstance(kind, int)}
        try:
            return pymysql.connect(
                host=self.address.host or "localhost",
                port=self.address.port or _PORT,
                user=self.address.user,
                password=self.address.password or "",
                database=self.address.path or None,
                charset="utf8mb4",
                conv=writing,
                program_name="bucket_loader",
                **self._options(),
            )
        except pymysql.Error as error:
            raise self._refusal(error, query) from None
        except RuntimeError:  # it lacks `cryptography`, and says so
            raise self.refused(
                "the server wants the password encrypted", hint="pip install 'bucket-loader[mysql]', or use TLS"
            ) from None
        except OSError as error:  # a certificate file
            raise self.refused(f"TLS: {error.strerror}", hint="look at `ssl_ca`, `ssl_cert` and `ssl_key`") from None

    def _options(self) -> dict[str, Any]:
        options = dict(self.address.options)
        if unknown := sorted(options.keys() - set(_OPTIONS)):
            raise self.refused(f"the URL's option {unknown[0]!r} is not known", hint=f"known: {', '.join(_OPTIONS)}")
        timeout = options.get("connect_timeout", str(CONNECT_S))
        found: dict[str, Any] = {"connect_timeout": int(timeout) if timeout.isdigit() else CONNECT_S}
        if "unix_socket" in options:
            found["unix_socket"] = options["unix_socket"]
        return found | self._tls(options)

    def _tls(self, options: Mapping[str, str]) -> dict[str, Any]:
        files = {name: options[name] for name in ("ssl_ca", "ssl_cert", "ssl_key") if name in options}
        mode = options.get("ssl_mode", "verify_identity" if "ssl_ca" in files else "preferred").lower()
        if mode not in _SSL_MODES:
            raise self.refused("the URL's `ssl_mode` is not known", hint=f"known: {', '.join(_SSL_MODES)}")
        if mode in {"disabled", "preferred"}:
            return {"ssl_disabled": True} if mode == "disabled" else files
        context = ssl.create_default_context(cafile=files.get("ssl_ca"))
        context.check_hostname = mode == "verify_identity"
        context.verify_mode = ssl.CERT_NONE if mode == "required" else ssl.CERT_REQUIRED
        if "ssl_cert" in files:
            context.load_cert_chain(files["ssl_cert"], files.get("ssl_key"))
        return {"ssl": context}

    @contextmanager
    def _worded(self, query: SourceQuery) -> Iterator[None]:
        import pymysql

        try:
            yield
        except (pymysql.Error, OSError) as error:
            raise self._refusal(error, query) from None
        except UnicodeDecodeError:
            raise self.refused("a text is not in the character set that its column says") from None

    def _refusal(self, error: "pymysql.Error | OSError", query: SourceQuery) -> SourceError:
        code, said = (*error.args, None, None)[:2]
        if not isinstance(code, int):  # not the server's words, but the network's
            code, said = 2013, str(error)
        said = str(said)
        if "SSL" in said or "certificate" in said:
            return self.refused(
                f"TLS failed: {said}",
                hint="look at `ssl_mode` and `ssl_ca` in the URL, and at the server's certificate",
            )
        if code in _TOO_SLOW:
            return self.too_slow(query.timeout_s)
        if code in _WRITES:
            return self.writes()
        if code in _LATER:
            return self.unavailable(said)
        said = said if code in _NAMES_ARE_SHOWN else without_values(said)
        return self.refused(f"{said} (error {code})")


def _execute(cursor: _Cursor, sql: str, query: SourceQuery) -> None:
    if not query.parameters:
        cursor.execute(sql)
        return
    # The driver puts parameters in with `%`, which is a sign of the query's own, too.
    bound = {name: zoneless(value) for name, value in query.parameters.items()}
    cursor.execute(with_names(sql.replace("%", "%%"), "%({})s", MySql.dialect), bound)


@contextmanager
def _streaming(connection: _Connection) -> Iterator[_Cursor]:
    from pymysql.cursors import SSCursor

    cursor = connection.cursor(SSCursor)
    try:
        yield cursor
    finally:
        # Closing would read all that is left; without the connection there is nothing left.
        result = cursor._result  # noqa: SLF001  # there is no other way to stop early
        if result is not None and result.unbuffered_active:
            result.unbuffered_active = False
            result.connection = None
        cursor.close()


def _batches(cursor: _Cursor, columns: list[Column], schema: "pa.Schema", query: SourceQuery) -> Iterator[InputBatch]:
    import pyarrow as pa

    first, count = 1, _FIRST_ROWS
    while rows := cursor.fetchmany(count):
        arrays, raw, refused = values(rows, columns)
        yield from given(
            pa.RecordBatch.from_arrays(arrays, schema=schema), first, query.origin, asked(refused, query.is_used), raw
        )
        first += len(rows)
        row_bytes = sum(array.nbytes for array in raw.values()) // len(rows) + 1
        count = max(1, min(_ROWS_AT_ONCE, 2 * count, BATCH_BYTES_MAX // row_bytes))


def _is_float(field: Any) -> bool:  # noqa: ANN401  # the driver has no types
    from pymysql.constants import FIELD_TYPE

    return bool(field.type_code == FIELD_TYPE.FLOAT)
