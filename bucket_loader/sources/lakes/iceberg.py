"""Iceberg tables, as they were at one snapshot: from a catalog, or from a metadata file. Needs the extra `iceberg`.

Deletes are honoured; columns are found by their ids, whatever they were once called. The columns are those that the
table has now, or had at the snapshot that is asked for. One data file is read at a time, and held whole while it is;
they come in the order in which they were added.
"""

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Final

from bucket_loader.config import IcebergSource, scheme_of
from bucket_loader.model import InputBatch, Reading, SourceError, SourceUnavailableError
from bucket_loader.sources.base import SourceContext, counted, extra
from bucket_loader.sources.files.listing import filled
from bucket_loader.sources.values.int96 import WIDEST, int96_columns, units
from bucket_loader.sources.values.types import plain_schema, to_schema

if TYPE_CHECKING:
    import pyarrow as pa
    from pyiceberg.table import DataScan, FileScanTask, Table

# How the table's reader says what it lacks, and the name of that.
_UNSUPPORTED: Final = (
    (re.compile(r"equality delete"), "equality deletes"),
    (re.compile(r"Unsupported field type: '?([\w()., ]+)'?"), "the type {}"),
    (re.compile(r"unsupported type: ([\w\[\]., ]+)"), "files with the type {}"),
    (re.compile(r"Input tag '(\d+)' found using 'format_version'"), "format version {}"),
)


class Iceberg:
    """The rows of an Iceberg table at one snapshot: the one asked for, or the newest when it was first looked at."""

    def __init__(self, spec: IcebergSource, context: SourceContext) -> None:
        self._spec = spec
        self._context = context
        self._name = spec.table or filled(spec.metadata or "", context)

    def fingerprint(self) -> str:
        """Identify the table and its snapshot."""
        with self._errors():
            identity = self._table.metadata.table_uuid, self._snapshot, self._scan.projection().schema_id
        return hashlib.sha256(repr(identity).encode()).hexdigest()

    def read(self) -> Reading:
        """Return the columns, and the rows of one file after the other."""
        with self._errors():
            schema = plain_schema(self._scan.projection().as_arrow(), self._name)
        return Reading(schema, self._batches(schema))

    def _batches(self, schema: "pa.Schema") -> Iterator[InputBatch]:
        from pyiceberg.io.pyarrow import ArrowScan

        with self._errors():
            if self._snapshot is None:  # nothing was ever written
                return
            scan = self._scan
            reader = ArrowScan(self._table.metadata, self._table.io, scan.projection(), scan.row_filter)
            added = self._added()
            tasks = sorted(scan.plan_files(), key=lambda task: added[task.file.file_path])
            # One by one: all at once, they would be read ahead into memory, whoever waits for them.
            read = (batch for task in tasks if self._is_near(task) for batch in reader.to_record_batches([task]))
            yield from counted((to_schema(batch, schema, self._name) for batch in read), self._name)

    def _is_near(self, task: "FileScanTask") -> bool:
        """Whether the table's reader keeps all moments of a file, which it reads as nanoseconds where it has INT96.

        Raises:
            SourceError: it does not.
        """
        import pyarrow.parquet as pq
        from pyiceberg.manifest import FileFormat

        if task.file.file_format != FileFormat.PARQUET or "timestamp" not in str(self._scan.projection()):
            return True
        with (
            self._table.io.new_input(task.file.file_path).open() as stream,
            pq.ParquetFile(stream, coerce_int96_timestamp_unit=WIDEST) as parquet,
        ):
            names = int96_columns(parquet)
            far = [name for name, unit in units(parquet, names).items() if unit != "ns"] if names else []
        if far:
            raise SourceError(
                f"{self._name}: the column {far[0]!r} has moments before 1677 or after 2262 in files with INT96",
                hint="let the engine that writes the table rewrite those files, with `timestamp_micros`",
            )
        return True

    @cached_property
    def _table(self) -> "Table":
        extra(IcebergSource)
        from pyiceberg.catalog import load_catalog
        from pyiceberg.table import StaticTable

        properties = {name: value.get_secret_value() for name, value in self._spec.catalog.items()}
        if self._spec.metadata is not None:
            place = self._name if scheme_of(self._name) else str(self._context.base.absolute() / self._name)
            return StaticTable.from_metadata(place, properties)
        # Only read: a catalog in a database would make its own tables.
        properties = {"init_catalog_tables": "false"} | properties
        return load_catalog(properties.pop("name", "default"), **properties).load_table(str(self._spec.table))

    @cached_property
    def _snapshot(self) -> int | None:
        if self._spec.snapshot is not None:
            return self._spec.snapshot
        current = self._table.current_snapshot()
        return None if current is None else current.snapshot_id

    @cached_property
    def _scan(self) -> "DataScan":
        # A scan that names a snapshot has the columns of that time.
        return self._table.scan(snapshot_id=self._spec.snapshot)

    def _added(self) -> dict[str, tuple[int, int, str]]:
        """Return what orders the data files: sequence numbers, and in a table without such numbers their snapshots.

        A file of a snapshot that has expired is older than those of all others. Files of one commit are in the order of
        their names.
        """
        from pyiceberg.manifest import ManifestContent
        from pyiceberg.table.snapshots import ancestors_of

        metadata, io = self._table.metadata, self._table.io
        snapshot = None if self._snapshot is None else metadata.snapshot_by_id(self._snapshot)
        if snapshot is None:
            return {}
        newest_first = [one.snapshot_id for one in ancestors_of(snapshot, metadata)]
        age = {number: place for place, number in enumerate(reversed(newest_first))}
        manifests = (one for one in snapshot.manifests(io) if one.content == ManifestContent.DATA)
        entries = (entry for one in manifests for entry in one.fetch_manifest_entry(io, discard_deleted=True))
        return {
            entry.data_file.file_path: (
                entry.sequence_number or 0,
                age.get(entry.snapshot_id or 0, -1),
                entry.data_file.file_path,
            )
            for entry in entries
        }

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Say in our words what the table's reader says in its own, which may hold a catalog's address and token."""
        extra(IcebergSource)
        import pyarrow as pa
        from pyiceberg import exceptions as said

        try:
            yield
        except (said.NoSuchTableError, said.NoSuchNamespaceError, FileNotFoundError) as error:
            raise SourceError(
                f"there is no Iceberg table {self._name}",
                hint="is the name whole, `namespace.table`, and the path right?",
            ) from error
        except (said.UnauthorizedError, said.ForbiddenError, said.OAuthError, said.AuthorizationExpiredError) as error:
            raise SourceError(
                f"the catalog refuses to show {self._name}", hint="look at the catalog's `token` or `credential`"
            ) from error
        except (said.RESTError, OSError) as error:
            raise SourceUnavailableError(
                f"{self._name} cannot be read: its catalog or its store cannot be reached, or fails",
                hint="look at the network and the catalog's `uri`; then run again",
            ) from error
        except _database_errors() as error:
            raise SourceError(
                f"{self._name} cannot be read: its catalog's database refuses", hint="look at the catalog's `uri`"
            ) from error
        except (*_reader_errors(), ValueError, KeyError, NotImplementedError, pa.ArrowException) as error:
            raise _unsupported(self._name, error) or SourceError(
                f"{self._name} cannot be read as an Iceberg table: {type(error).__name__}",
                hint="is there such a snapshot, are the catalog's properties right, and are its libraries installed?",
            ) from error


def _unsupported(name: str, error: Exception) -> SourceError | None:
    """Name what the table has and its reader lacks; None for any other error."""
    for pattern, feature in _UNSUPPORTED:
        if (found := pattern.search(str(error))) is not None:
            return SourceError(
                f"{name} uses a feature of Iceberg that is not supported: {feature.format(*found.groups())}",
                hint="let the engine that writes the table rewrite it without, or write what you need as another table",
            )
    return None


def _reader_errors() -> tuple[type[Exception], ...]:
    """Return the errors of the table's reader that are about the table, which have nothing in common."""
    from pyiceberg import exceptions as said
    from pyiceberg.io.pyarrow import UnsupportedPyArrowTypeException

    return (said.ResolveError, said.NotInstalledError, said.ValidationError, UnsupportedPyArrowTypeException)


def _database_errors() -> tuple[type[Exception], ...]:
    """Return the errors of a catalog in a database, where the library for those is installed."""
    try:
        from sqlalchemy.exc import SQLAlchemyError
    except ImportError:
        return ()
    return (SQLAlchemyError,)
