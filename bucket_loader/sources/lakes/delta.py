"""Delta Lake tables, as they were at one version. Needs the extra `delta`.

A table has no order of its own. Its files are read oldest first, so that of an appended table the newest rows come
last. Where the files alone do not tell the rows (deletion vectors, renamed columns) the table's own engine reads them,
in one thread and so always in the same order, but newest first.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Final

from bucket_loader.config import DeltaSource, Storage, scheme_of
from bucket_loader.model import ROWS_MAX, InputBatch, Reading, SourceError
from bucket_loader.sources.base import SourceContext, counted, extra
from bucket_loader.sources.files.listing import filled
from bucket_loader.sources.values.types import plain_schema, to_schema

if TYPE_CHECKING:
    import pyarrow as pa
    from deltalake import DeltaTable

# How long a store that does not answer is waited for.
_PATIENCE: Final = {"max_retries": "4", "retry_timeout": "30s"}


class DeltaLake:
    """The rows of a Delta table at one version: the one asked for, or the newest when it was first looked at.

    What others commit meanwhile changes nothing of that version, so it is no change of the source.
    """

    def __init__(self, spec: DeltaSource, context: SourceContext) -> None:
        self._spec = spec
        self._path = filled(spec.path, context)
        self._place = self._path if scheme_of(self._path) else str(context.base.absolute() / self._path)

    def fingerprint(self) -> str:
        """Identify the table and its version."""
        with self._errors():
            return hashlib.sha256(repr((self._table.metadata().id, self._table.version())).encode()).hexdigest()

    def read(self) -> Reading:
        """Return the columns, and the rows of one file after the other."""
        import pyarrow as pa

        with self._errors():
            schema = plain_schema(pa.schema(self._table.schema().to_arrow()), self._path)
        return Reading(schema, self._batches(schema))

    def _batches(self, schema: "pa.Schema") -> Iterator[InputBatch]:
        with self._errors():
            yield from counted((to_schema(batch, schema, self._path) for batch in self._read()), self._path)

    def _read(self) -> "Iterator[pa.RecordBatch]":
        import pyarrow as pa
        from deltalake import QueryBuilder
        from deltalake.exceptions import DeltaProtocolError

        try:
            dataset = self._table.to_pyarrow_dataset()
        except DeltaProtocolError:
            engine = QueryBuilder({"datafusion.execution.target_partitions": "1"}).register("data", self._table)
            yield from pa.RecordBatchReader.from_stream(engine.execute("select * from data"))
            return
        actions = pa.table(self._table.get_add_actions(flatten=True)).select(["path", "modification_time"])
        written = {action["path"]: action["modification_time"] for action in actions.to_pylist()}
        for fragment in sorted(dataset.get_fragments(), key=lambda one: (written.get(one.path, 0), one.path)):
            yield from fragment.to_batches(
                schema=dataset.schema, batch_size=ROWS_MAX, use_threads=False, batch_readahead=1
            )

    @cached_property
    def _table(self) -> "DeltaTable":
        extra(DeltaSource)
        from deltalake import DeltaTable

        table = DeltaTable(self._place, version=self._spec.version, storage_options=self._options())
        if self._spec.at is not None:
            table.load_as_version(self._spec.at)
        return table

    def _options(self) -> dict[str, str]:
        """Spell `storage:` as the table's reader does; credentials it finds by itself, as its provider's tools do."""
        if scheme_of(self._path) is None:
            return {}
        storage = self._spec.storage or Storage()
        spelt = {
            "AWS_ENDPOINT_URL": storage.endpoint,
            "AWS_ALLOW_HTTP": "true" if (storage.endpoint or "").startswith("http:") else None,
            "AWS_REGION": storage.region,
            "AWS_SKIP_SIGNATURE": "true" if storage.anonymous else None,
            "GOOGLE_SKIP_SIGNATURE": "true" if storage.anonymous else None,
            "AZURE_SKIP_SIGNATURE": "true" if storage.anonymous else None,
            "AZURE_STORAGE_ACCOUNT_NAME": storage.account,
        }
        return _PATIENCE | {name: value for name, value in spelt.items() if value is not None}

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Say in our words what the table's reader says in its own."""
        extra(DeltaSource)
        import pyarrow as pa
        from deltalake.exceptions import DeltaError, TableNotFoundError

        try:
            yield
        except TableNotFoundError as error:
            raise SourceError(
                f"{self._path} is no Delta table", hint="name the folder that holds `_delta_log`"
            ) from error
        except (DeltaError, OSError, pa.ArrowException) as error:
            raise self._refused(error) from error

    def _refused(self, error: Exception) -> SourceError:
        from bucket_loader.sources.stores import remote

        storage = self._spec.storage or Storage()
        remotely = scheme_of(self._path) is not None and remote.is_the_stores(error)
        if remotely:
            return remote.place_of(self._path, storage).refused(error, self._path)
        version = "" if self._spec.version is None else f" at version {self._spec.version}"
        return SourceError(
            f"{self._path} cannot be read as a Delta table{version}",
            hint="is there such a version, and were its files not vacuumed away?",
        )
