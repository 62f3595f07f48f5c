"""Delta Lake tables, as they were at one version. Needs the extra `delta`.

A table has no order of its own. Its files are read oldest first, so that of an appended table the newest rows come
last.
"""

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Final

from bucket_loader.config import DeltaSource, Storage, scheme_of
from bucket_loader.model import InputBatch, Reading, SourceError
from bucket_loader.sources.base import SourceContext, counted, extra
from bucket_loader.sources.files.listing import filled
from bucket_loader.sources.lakes.delta_files import DeltaFiles
from bucket_loader.sources.values.types import plain_schema, to_schema

if TYPE_CHECKING:
    import pyarrow as pa
    from deltalake import DeltaTable

# How long a store that does not answer is waited for.
_PATIENCE: Final = {"max_retries": "4", "retry_timeout": "30s"}
# The features that change how a table is read, as far as they are honoured here.
_FEATURES: Final = frozenset(
    {
        "columnMapping",
        "deletionVectors",
        "timestampNtz",
        "typeWidening",
        "typeWidening-preview",
        "v2Checkpoint",
        "vacuumProtocolCheck",
        # Columns of the type are refused, each by its name.
        "variantType",
        "variantType-preview",
        "variantShredding",
        "variantShredding-preview",
    }
)
_READER_VERSION: Final = 3
# How the table's reader names what it lacks.
_FEATURE_SAID: Final = re.compile(r"[Ff]eature '([\w-]+)'|(reader version \d+)|catalog-managed table")


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
        with self._errors():
            self._require_known_features()
            files = DeltaFiles(self._table, self._options(), self._path)
            schema = plain_schema(files.schema, self._path)
        return Reading(schema, self._batches(files, schema))

    def _batches(self, files: DeltaFiles, schema: "pa.Schema") -> Iterator[InputBatch]:
        with self._errors():
            yield from counted((to_schema(batch, schema, self._path) for batch in files.batches()), self._path)

    def _require_known_features(self) -> None:
        protocol = self._table.protocol()
        for feature in sorted(set(protocol.reader_features or ()) - _FEATURES):
            raise self._unsupported(feature)
        if protocol.min_reader_version > _READER_VERSION:
            raise self._unsupported(f"reader version {protocol.min_reader_version}")
        for field in self._table.schema().fields:
            if _holds_variant(json.loads(field.to_json())["type"]):
                raise self._unsupported(f"variantType (in the column {field.name!r})")

    def _unsupported(self, feature: str) -> SourceError:
        return SourceError(
            f"{self._path} uses a feature of Delta that is not supported: {feature}",
            hint="let the engine that writes the table drop the feature, or write what you need as another table",
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
        if (feature := _FEATURE_SAID.search(str(error))) is not None:
            return self._unsupported(feature[1] or feature[2] or "catalogManaged")
        version = "" if self._spec.version is None else f" at version {self._spec.version}"
        return SourceError(
            f"{self._path} cannot be read as a Delta table{version}",
            hint="is there such a version, and were its files not vacuumed away?",
        )


def _holds_variant(kind: object) -> bool:
    """Whether a type, as the table's log spells it, is a variant or holds one."""
    if isinstance(kind, dict):
        inner = [kind.get(word) for word in ("elementType", "keyType", "valueType")]
        return any(map(_holds_variant, [*inner, *(member["type"] for member in kind.get("fields", ()))]))
    return kind == "variant"
