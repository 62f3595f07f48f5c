"""BigQuery, through Google's client: `bigquery://project/dataset?location=EU`. A dry run says whether a query reads."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Final

from bucket_loader.config import SqlDialect
from bucket_loader.model import InputBatch, SourceError
from bucket_loader.sources.base import repeated, without_rows
from bucket_loader.sources.databases.server import Server, SourceQuery, repeated_columns, with_names, without_values
from bucket_loader.sources.values.casting import given
from bucket_loader.sources.values.types import as_type

if TYPE_CHECKING:
    import pyarrow as pa

_OPTIONS: Final = ("location", "credentials")

_TYPES: Final = {datetime: "TIMESTAMP", date: "DATE", int: "INT64", str: "STRING"}


class BigQuery(Server):
    """A BigQuery project. Who asks is found as Google's own tools find it, or in the file `credentials` names."""

    dialect: SqlDialect = "backslash"

    @staticmethod
    def quoted(name: str) -> str:
        """Spell an identifier."""
        return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"

    def stream(self, query: SourceQuery) -> Iterator[InputBatch]:
        """Run the query; its columns are known before the first row."""
        import pyarrow as pa

        sql = with_names(self.one_select(query.sql), "@{}", self.dialect)
        with self._worded(query), self._client() as client:
            kind = client.query(sql, job_config=self._settings(query, dry_run=True)).statement_type
            if kind != "SELECT":
                raise self.writes()
            job = client.query(sql, job_config=self._settings(query))
            try:
                rows = job.result(timeout=query.timeout_s)
                repeated_columns(self, repeated(field.name for field in rows.schema))
                schema = pa.schema([pa.field(field.name, self._kind(field)) for field in rows.schema])
                yield without_rows(schema, query.origin)
                first = 1
                for batch in rows.to_arrow_iterable():
                    arrays = list(map(as_type, batch.columns, schema.types))
                    yield from given(pa.RecordBatch.from_arrays(arrays, schema=schema), first, query.origin, {}, {})
                    first += batch.num_rows
            except TimeoutError:
                job.cancel()
                raise self.too_slow(query.timeout_s) from None

    @contextmanager
    def _client(self) -> Iterator[Any]:
        from google.cloud import bigquery

        if unknown := sorted(self.address.options.keys() - set(_OPTIONS)):
            raise self.refused(f"the URL's option {unknown[0]!r} is not known", hint=f"known: {', '.join(_OPTIONS)}")
        words = {"project": self.address.hosts or None, "location": self.address.options.get("location")}
        if file := self.address.options.get("credentials"):
            client = bigquery.Client.from_service_account_json(file, **words)
        else:
            client = bigquery.Client(**words)
        try:
            yield client
        finally:
            client.close()

    def _settings(self, query: SourceQuery, *, dry_run: bool = False) -> Any:  # noqa: ANN401  # Google's own
        from google.cloud import bigquery

        bound = [
            bigquery.ScalarQueryParameter(name, _TYPES[type(value)], value) for name, value in query.parameters.items()
        ]
        words: dict[str, Any] = {"query_parameters": bound, "use_legacy_sql": False, "dry_run": dry_run}
        if self.address.path:
            words["default_dataset"] = f"{self.address.hosts}.{self.address.path}"
        if query.timeout_s is not None and not dry_run:
            words["job_timeout_ms"] = max(1, round(query.timeout_s * 1000))
        return bigquery.QueryJobConfig(**words)

    def _kind(self, field: Any, *, alone: bool = True) -> "pa.DataType":  # noqa: ANN401  # Google's own
        import pyarrow as pa

        kinds = {
            "STRING": pa.string(), "GEOGRAPHY": pa.string(), "BYTES": pa.binary(), "INTEGER": pa.int64(),
            "INT64": pa.int64(), "FLOAT": pa.float64(), "FLOAT64": pa.float64(), "NUMERIC": pa.decimal128(38, 9),
            "BIGNUMERIC": pa.json_(), "BOOLEAN": pa.bool_(), "BOOL": pa.bool_(), "DATE": pa.date32(),
            "TIME": pa.time64("us"), "DATETIME": pa.timestamp("us"), "TIMESTAMP": pa.timestamp("us", "UTC"),
            "JSON": pa.json_(),
        }  # fmt: skip
        if field.field_type in {"RECORD", "STRUCT"}:
            kind = pa.struct([(child.name, self._kind(child, alone=False)) for child in field.fields])
        elif field.field_type in kinds and (
            (alone and field.mode != "REPEATED") or kinds[field.field_type] != pa.json_()
        ):
            kind = kinds[field.field_type]
        else:
            raise self.refused(
                f"the column {field.name!r} is of type {field.field_type}, which has no form",
                hint=f"say in the query what of it is wanted, for example CAST({field.name} AS STRING)",
            )
        return pa.list_(kind) if field.mode == "REPEATED" else kind

    @contextmanager
    def _worded(self, query: SourceQuery) -> Iterator[None]:
        from google.api_core import exceptions
        from google.auth.exceptions import GoogleAuthError, TransportError

        try:
            yield
        except (
            exceptions.RetryError,
            exceptions.ServerError,
            exceptions.TooManyRequests,
            TransportError,
            OSError,
        ) as error:
            raise self.unavailable(type(error).__name__) from None
        except GoogleAuthError:
            raise self.refused(
                "no credentials that Google takes",
                hint="set GOOGLE_APPLICATION_CREDENTIALS, or write ?credentials=FILE in the URL",
            ) from None
        except exceptions.GoogleAPICallError as error:
            raise self._refusal(error, query) from None

    def _refusal(self, error: Any, query: SourceQuery) -> SourceError:  # noqa: ANN401  # Google's own
        said = str(error.message)
        if "timeout" in said.lower():
            return self.too_slow(query.timeout_s)
        named = any(word in said for word in ("Not found", "Unrecognized name", "Syntax error", "Access Denied"))
        return self.refused(f"the query failed: {said if named else without_values(said)}")
