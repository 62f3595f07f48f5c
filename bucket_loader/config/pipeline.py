"""The pipeline file as frozen models: what may be written, and what it means (DESIGN section 4).

The models know nothing of YAML; `pipeline_file` turns text into them and finds the place of each mistake. Every
message here is read by a person who is looking at that file.
"""

import ipaddress
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self, get_args
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    GetJsonSchemaHandler,
    SecretStr,
    Tag,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue, SkipJsonSchema
from pydantic_core import CoreSchema

from bucket_loader.model import KINDS, SYNCS, Api, Kind, RecordKind, Sync, SyncMode, contract

SQL_PARAMETERS: Final = ("interval_start", "interval_end", "as_of", "cursor")
SqlDialect = Literal["standard", "backslash"]
# `:name` outside quotes and comments; not part of a `::cast`, and not after a value, where a colon takes a part of it
# (`a[1:n]`, `{'a':b}`, `raw:user.id`).
_PARAMETER_NAME: Final = r"|::|(?<![\w\]\)'\"`]):(?P<name>[A-Za-z_]\w*)"
_SQL_PARAMETER: Final[dict[SqlDialect, re.Pattern[str]]] = {
    "standard": re.compile(
        r"\b[eE]'(?:[^'\\]|\\.|'')*'"  # text with escapes
        r"|'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\""
        r"|\$(?P<tag>[A-Za-z_]\w*|)\$.*?\$(?P=tag)\$"  # text between dollars
        r"|--[^\n]*|/\*.*?\*/" + _PARAMETER_NAME,
        re.DOTALL,
    ),
    # MySQL and BigQuery: a backslash escapes in every text, names stand between backticks, `#` begins a comment.
    "backslash": re.compile(
        r"\"\"\"(?:[^\\]|\\.)*?\"\"\"|'''(?:[^\\]|\\.)*?'''"
        r"|'(?:[^'\\]|\\.|'')*'|\"(?:[^\"\\]|\\.|\"\")*\"|`(?:[^`]|``)*`"
        r"|--[^\n]*|#[^\n]*|/\*.*?\*/" + _PARAMETER_NAME,
        re.DOTALL,
    ),
}
_BACKSLASH_SCHEMES: Final = frozenset({"mysql", "mariadb", "bigquery"})
PATH_PARAMETER: Final = re.compile(r"\{(interval_start|interval_end):([^{}]+)\}")


class Model(BaseModel):
    """A part of the pipeline file: unknown keys are mistakes, values do not change once read."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, populate_by_name=True)


def sql_dialect(url: str) -> SqlDialect:
    """Say how a database's SQL spells texts and comments, from its URL."""
    return "backslash" if re.split(r"[:+]", url, maxsplit=1)[0].lower() in _BACKSLASH_SCHEMES else "standard"


def sql_parameters(text: str, dialect: SqlDialect = "standard") -> list[str]:
    """List the `:name` parameters of a query, in order, with repeats."""
    return [match["name"] for match in _SQL_PARAMETER[dialect].finditer(text) if match["name"]]


def with_parameters(text: str, spelt: Callable[[str], str], dialect: SqlDialect = "standard") -> str:
    """Put what `spelt` gives for each `:name` in its place."""
    return _SQL_PARAMETER[dialect].sub(lambda match: spelt(match["name"]) if match["name"] else match[0], text)


def with_parameter_style(text: str, style: str) -> str:
    """Spell each `:name` as `style` says, for example `${}` for DuckDB."""
    return with_parameters(text, style.format)


def sql_code(text: str, dialect: SqlDialect = "standard") -> str:
    """Blank out the texts, quoted names and comments of a query: its words and signs stay where they are."""

    def blank(match: re.Match[str]) -> str:
        return match[0] if match["name"] or match[0] == "::" else " " * len(match[0])

    return _SQL_PARAMETER[dialect].sub(blank, text)


def directives(form: str) -> list[str]:
    """List the directives of a time format: `%d/%-m %%y` has `%d`, `%-m` and `%%`."""
    return re.findall(r"%-?.", form, re.DOTALL)


# --- scalars -------------------------------------------------------------------------------------------------------

_DURATION_UNITS_S = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
_SIZE_UNITS_BYTES = {"": 1, "B": 1, "KB": 1000, "KiB": 1024, "MB": 1000**2, "MiB": 1024**2}


def duration_s(value: object) -> float:
    """Read `30m`, `10s`, `1.5h`, or a number of seconds."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)?\s*", str(value))
    if match is None or isinstance(value, bool):
        raise ValueError("is not a duration; write for example 10s, 30m or 2h")
    return float(match[1]) * _DURATION_UNITS_S[match[2] or "s"]


def size_bytes(value: object) -> int:
    """Read `512KiB`, `1MiB`, or a number of bytes."""
    match = re.fullmatch(r"\s*(\d+)\s*(B|KB|KiB|MB|MiB)?\s*", str(value))
    if match is None or isinstance(value, bool):
        raise ValueError("is not a size; write for example 512KiB or 1MiB")
    return int(match[1]) * _SIZE_UNITS_BYTES[match[2] or ""]


class Share(Model):
    """A limit as a count, or as a percentage of a whole."""

    amount: float = Field(ge=0)
    percent: bool

    def allows(self, count: int, whole: int) -> bool:
        """Tell whether `count` out of `whole` is within the limit."""
        return count <= (self.amount * whole / 100 if self.percent else self.amount)

    def __str__(self) -> str:
        return f"{self.amount:g}%" if self.percent else f"{self.amount:g}"


def share(value: object) -> Share:
    """Read `10%` or a whole number."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(%)?\s*", str(value))
    if match is None or isinstance(value, bool) or (not match[2] and not float(match[1]).is_integer()):
        raise ValueError("is neither a percentage nor a whole number; write for example 10% or 500")
    return Share(amount=float(match[1]), percent=bool(match[2]))


def _timezone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"no time zone is named {name!r}; write for example UTC or Europe/Copenhagen") from None
    return name


def clean_key(value: str) -> str:
    """Strip blanks around a key and refuse what cannot stand in a header; never shows the key (TRAPS: V)."""
    stripped = value.strip()
    if not re.fullmatch(r"[\x21-\x7e]+", stripped):
        state = "is empty" if not stripped else "has a blank, a line break or a character outside ASCII inside"
        raise ValueError(f"the key {state}; check the variable it comes from")
    return stripped


def _clean_secret(key: SecretStr) -> SecretStr:
    return SecretStr(clean_key(key.get_secret_value()))


HASH_KEY_LENGTH_MIN: Final = 16


def _hash_key(key: SecretStr) -> SecretStr:
    text = key.get_secret_value().strip()
    if len(text) < HASH_KEY_LENGTH_MIN:
        raise ValueError(f"is shorter than {HASH_KEY_LENGTH_MIN} characters, which can be guessed")
    return SecretStr(text)


def _above_zero(value: float) -> float:
    if value <= 0:
        raise ValueError("must be more than 0")
    return value


def _chunk_bytes(value: int) -> int:
    if not 1024 <= value <= 64 * 1024 * 1024:  # noqa: PLR2004  # 1 KiB and 64 MiB
        raise ValueError("must be between 1KiB and 64MiB")
    return value


def _loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


# Where clouds hand out credentials, besides the link-local addresses.
_METADATA_HOSTS: Final = frozenset(
    ["metadata", "metadata.google.internal", "metadata.goog", "fd00:ec2::254", "100.100.100.200"]
)


def _metadata(host: str) -> bool:
    name = host.rstrip(".").partition("%")[0]
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return name in _METADATA_HOSTS
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_link_local or str(mapped or address) in _METADATA_HOSTS


def _is_host(host: str) -> bool:
    """Tell a name or an address from an address in disguise, whose last label is a number: 127.1, 0251.0376.0.1."""
    if not re.fullmatch(r"(.*\.)?(\d+|0x[0-9a-f]*)\.?", host):
        return bool(host)
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _base_url(value: str) -> str:
    malformed = "is not a URL; write for example https://front.bucket.co"
    if not re.fullmatch(r"(?i)https?://[!-~]+", value) or "\\" in value:
        raise ValueError(malformed)
    if "@" in value or "?" in value or "#" in value:
        raise ValueError("must not hold a user, a password, a query or a fragment; the key has its own place")
    try:
        parts = urlsplit(value)
    except ValueError:
        raise ValueError(malformed) from None
    host = parts.hostname or ""
    if not _is_host(host):
        raise ValueError(malformed)
    try:
        port = parts.port
    except ValueError:  # its message would quote what may be a password
        port = 0
    if port == 0 or parts.netloc.endswith(":"):
        raise ValueError("has a port that is not a number from 1 to 65535")
    if parts.scheme == "http" and not _loopback(host):
        raise ValueError("must be https: over http the key would travel in the clear (only loopback may use http)")
    if _metadata(host):
        raise ValueError("is a link-local or metadata address, which is never Bucket")
    return f"{parts.scheme}://{parts.netloc.lower()}{parts.path}".rstrip("/")


def _at_least_one(columns: list[str]) -> list[str]:
    if not columns:
        raise ValueError("names no column")
    return columns


def _proxy(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("is not a proxy's URL; write for example http://proxy.example:3128")
    return value


def _existing(value: Path) -> Path:
    if not value.is_file():
        raise ValueError("there is no such file; give an absolute path")
    return value


def _name(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9 _.-]{0,99}", value):
        raise ValueError("must be letters, digits, blanks, `_`, `.` or `-`, beginning with a letter or digit")
    return value


def _known_parameters(text: str, dialect: SqlDialect = "standard") -> str:
    unknown = sorted(set(sql_parameters(text, dialect)) - set(SQL_PARAMETERS))
    if unknown:
        names = ", ".join(f":{name}" for name in SQL_PARAMETERS)
        raise ValueError(f":{unknown[0]} is not bound in a query; what is bound: {names}")
    return text


# What may be written, for the JSON Schema: each of these is read from text, or from less than the model holds.
_NUMBER_OR_TEXT = WithJsonSchema({"type": ["number", "string"]})
_TEXT_OR_TEXTS = WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]})

Duration = Annotated[float, BeforeValidator(duration_s), _NUMBER_OR_TEXT]
Size = Annotated[int, BeforeValidator(size_bytes), _NUMBER_OR_TEXT]
Timezone = Annotated[str, AfterValidator(_timezone)]
Name = Annotated[str, AfterValidator(_name)]
ShareOf = Annotated[
    Share, BeforeValidator(lambda value: value if isinstance(value, Share) else share(value)), _NUMBER_OR_TEXT
]
Sql = Annotated[str, Field(min_length=1), AfterValidator(_known_parameters)]
Texts = Annotated[
    list[str], BeforeValidator(lambda value: [value] if isinstance(value, str) else value), _TEXT_OR_TEXTS
]

# --- where to ------------------------------------------------------------------------------------------------------


class ChunkSize(Model):
    """How much one request carries; whichever comes first."""

    records: int = Field(default=contract.CHUNK_RECORDS_MAX_KNOWN, ge=1, le=10_000)
    bytes: Annotated[Size, AfterValidator(_chunk_bytes)] = 512 * 1024


class Destination(Model):
    """Where records go, and how hard to try."""

    base_url: Annotated[str, AfterValidator(_base_url)] = Field(
        default="https://front.bucket.co", description="with `api: tracking-legacy`: https://tracking.bucket.co"
    )
    key: Annotated[SecretStr, AfterValidator(_clean_secret)] = Field(
        description="only by reference, for example ${BUCKET_SECRET_KEY}"
    )
    environment: Name = "production"
    chunk: ChunkSize = ChunkSize()
    concurrency: Literal["auto"] | Annotated[int, Field(ge=1, le=64)] = "auto"
    patience: Duration = 1800.0
    timeout: Annotated[Duration, AfterValidator(_above_zero)] = Field(
        default=30.0, description="the whole of one attempt"
    )
    requests_per_second: float | None = Field(default=None, gt=0)
    proxy: Annotated[str, AfterValidator(_proxy)] | None = None
    ca_bundle: Annotated[Path, AfterValidator(_existing)] | None = None
    api: Api = Field(default="front", description="the older APIs take one record a request")

    @model_validator(mode="before")
    @classmethod
    def _host_of_tracking(cls, value: object) -> object:
        if isinstance(value, dict) and value.get("api") == "tracking-legacy":
            return {"base_url": "https://tracking.bucket.co", **value}
        return value

    @property
    def host(self) -> str:
        """The host and port that the state belongs to."""
        return urlsplit(self.base_url).netloc


class Limits(Model):
    """Stop before sending when more than this is rejected by planning, or has changed of what was known."""

    rejected: ShareOf | None = None
    changed: ShareOf | None = None


# --- where from ----------------------------------------------------------------------------------------------------


# Where a path may lead besides the local disk; `pyarrow.fs` reads all but https.
REMOTE: Final = ("s3", "gs", "az", "abfs", "abfss", "https", "http")
_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")


def scheme_of(path: str) -> str | None:
    """Give the scheme of a remote path, in lower case; None for a local one."""
    match = _SCHEME.match(path)
    return match[1].lower() if match else None


def _path(value: str) -> str:
    scheme = scheme_of(value)
    if scheme is None:
        return value
    if scheme not in REMOTE:
        raise ValueError(f"{scheme}:// cannot be read; a path is local, or begins with s3://, gs://, az:// or https://")
    try:
        parts = urlsplit(value)
    except ValueError:
        parts = urlsplit("")
    if not parts.hostname:
        raise ValueError("names no bucket, container or host after its scheme")
    if "@" in parts.netloc and scheme not in {"abfs", "abfss"}:
        raise ValueError("must not hold a user or a password; credentials come from the environment")
    if scheme == "http" and not _loopback(parts.hostname):
        raise ValueError("must be https: over http the rows would travel in the clear (only loopback may use http)")
    if scheme in {"http", "https"} and _metadata(parts.hostname):
        raise ValueError("is a link-local or metadata address, which holds no export")
    return value


def _endpoint(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("is not a URL; write for example https://minio.example:9000")
    if "@" in value or parts.query or parts.fragment or parts.path.strip("/"):
        raise ValueError("is a scheme, a host and a port; nothing else, and no password")
    if _metadata(parts.hostname):
        raise ValueError("is a link-local or metadata address, which is no store")
    return value.rstrip("/")


class Storage(Model):
    """Where a remote store is, when it is not its provider's own. Credentials never stand here."""

    endpoint: Annotated[str, AfterValidator(_endpoint)] | None = Field(
        default=None, description="the URL of a store that speaks the provider's protocol, such as MinIO"
    )
    region: str | None = Field(default=None, min_length=1, description="of an s3:// bucket")
    account: str | None = Field(default=None, min_length=1, description="of an az:// container")
    anonymous: bool = Field(default=False, description="read without credentials, as public data allows")


Location = Annotated[
    str,
    Field(min_length=1, description="local, relative to the pipeline file; or s3://, gs://, az://, https://"),
    AfterValidator(_path),
]


class FileSource(Model):
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
    encoding: str = "utf-8"
    header: bool = True
    names: list[str] | None = None
    null_values: list[str] = []
    compression: Literal["auto", "none", "gzip", "zstd"] = "auto"

    @model_validator(mode="after")
    def _names_or_header(self) -> Self:
        if not self.header and self.names is None:
            raise ValueError("`header: false` needs `names:`, the columns in order")
        try:
            "".encode(self.encoding)
        except LookupError:
            raise ValueError(f"no encoding is named {self.encoding!r}; write for example utf-8 or cp1252") from None
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


class DeltaSource(Model):
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


class IcebergSource(Model):
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


class QuerySource(Model):
    """A query over the named sources, run by DuckDB."""

    type: Literal["query"]
    sql: Sql


class SqlSource(Model):
    """A table or a query of a database."""

    type: Literal["sql"]
    url: SecretStr = Field(description="for example postgresql://host/database")
    query: Annotated[str, Field(min_length=1)] | None = None
    query_file: str | None = Field(default=None, min_length=1, description="a .sql file, relative to the pipeline file")
    table: str | None = Field(default=None, min_length=1, description="a table or view: name, or schema.name")
    user: SecretStr | None = None
    password: SecretStr | None = Field(default=None, description="only by reference, for example ${DB_PASSWORD}")
    statement_timeout: Annotated[Duration, AfterValidator(_above_zero)] | None = Field(
        default=None, description="how long the query may run, for example 30m; default: as the database says"
    )

    @model_validator(mode="after")
    def _one_query(self) -> Self:
        if sum(given is not None for given in (self.query, self.query_file, self.table)) != 1:
            raise ValueError("needs either `query:`, `query_file:` or `table:`")
        return self

    @field_validator("query")
    @classmethod
    def _bound(cls, value: str | None, info: ValidationInfo) -> str | None:
        url = info.data.get("url")
        if value is not None and url is not None:
            _known_parameters(value, sql_dialect(url.get_secret_value()))
        return value

    @property
    def dialect(self) -> SqlDialect:
        """How its SQL spells texts and comments."""
        return sql_dialect(self.url.get_secret_value())


class FrameSource(Model):
    """A DataFrame handed to `load()`; it cannot be written in a file."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)
    type: Literal["frame"] = "frame"
    frame: Any = Field(exclude=True)


def _source_type(value: object) -> str | None:
    if isinstance(value, dict):
        kind = value.get("type")
        return {"tsv": "csv"}.get(kind, kind) if isinstance(kind, str) else None
    return {"tsv": "csv"}.get(found, found) if (found := getattr(value, "type", None)) else None


AnySource = Annotated[
    Annotated[CsvSource, Tag("csv")]
    | Annotated[ParquetSource, Tag("parquet")]
    | Annotated[JsonLinesSource, Tag("jsonl")]
    | Annotated[ArrowSource, Tag("arrow")]
    | Annotated[ExcelSource, Tag("excel")]
    | Annotated[DeltaSource, Tag("delta")]
    | Annotated[IcebergSource, Tag("iceberg")]
    | Annotated[QuerySource, Tag("query")]
    | Annotated[SqlSource, Tag("sql")]
    | Annotated[SkipJsonSchema[FrameSource], Tag("frame")],
    Discriminator(
        _source_type,
        custom_error_type="source_type",
        custom_error_message="needs `type:`, one of csv, tsv, parquet, jsonl, arrow, excel, delta, iceberg, query, sql",
    ),
]


def _named_or_inline(value: object) -> str:
    return "name" if isinstance(value, str) else "inline"


SourceOrName = Annotated[
    Annotated[str, Tag("name")] | Annotated[AnySource, Tag("inline")], Discriminator(_named_or_inline)
]

# --- mapping -------------------------------------------------------------------------------------------------------

FieldType = Literal["string", "integer", "number", "boolean", "timestamp", "date", "json"]


class FieldSpec(Model):
    """Where one field's value comes from: a column, a constant, or an expression; and how to read it."""

    column: str | None = None
    value: str | bool | int | float | None = None
    sql: str | None = None
    type: FieldType | None = None
    format: Texts | None = None
    timezone: Timezone | None = None
    dst: Literal["earliest", "latest"] | None = None
    unit: Literal["s", "ms", "us", "ns"] | None = None
    null_values: list[str] | None = None
    default: str | bool | int | float | None = None
    encoding: Literal["utf8", "hex", "base64"] | None = None
    hash: Literal["sha256", "hmac"] | None = Field(
        default=None,
        description="hmac needs `hash_key:`; sha256 of a guessable value, such as an address, is no secret",
    )

    @model_validator(mode="before")
    @classmethod
    def _bare_column(cls, value: object) -> object:
        return {"column": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        given = [name for name in ("column", "value", "sql") if name in self.model_fields_set]
        if len(given) != 1:
            raise ValueError("needs exactly one of `column:`, `value:` and `sql:` (a bare text is a column)")
        if "value" in given and (extra := self.model_fields_set - {"value", "type"}):
            raise ValueError(f"a constant takes no {', '.join(f'`{name}:`' for name in sorted(extra))}")
        if self.format is not None and self.unit is not None:
            raise ValueError("`format:` reads text and `unit:` reads numbers since 1970; give one of them")
        for wanted in ("format", "unit"):
            if getattr(self, wanted) is not None and self.type not in {None, "timestamp", "date"}:
                raise ValueError(f"`{wanted}:` belongs to `type: timestamp` or `type: date`")
        if any({"%y", "%-y"} & set(directives(form)) for form in self.format or []):
            raise ValueError("a two-digit year (%y) has no certain century; use %Y")
        if self.hash is not None and self.type not in {None, "string"}:
            raise ValueError(f"`hash:` makes text, which is no `type: {self.type}`")
        return self

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Say that a bare text is a column."""
        return {"anyOf": [{"type": "string", "description": "a column"}, handler.resolve_ref_schema(handler(core))]}


class Star(Model):
    """Every column that is not used elsewhere in the stream."""

    exclude: Texts = []


class Values(Model):
    """Named values of a record: its attributes, or the context of an evaluation."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    star: Star | None = None
    named: dict[str, FieldSpec] = {}

    @model_validator(mode="before")
    @classmethod
    def _split_star(cls, value: object) -> object:
        if value == "*":
            return {"star": {}}
        if not isinstance(value, dict):
            raise ValueError(  # noqa: TRY004  # pydantic collects ValueError only
                'is a mapping from attribute names to fields, or "*" for every column not used elsewhere'
            )
        named = dict(value)
        split: dict[str, object] = {"named": named}
        if "*" in named:
            split["star"] = named.pop("*") or {}
        return split

    @model_validator(mode="after")
    def _usable_names(self) -> Self:
        if "" in self.named:
            raise ValueError("an attribute needs a name")
        return self

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Say that names stand beside `*`."""
        parts = handler.resolve_ref_schema(handler(core))["properties"]
        named = {
            "type": "object",
            "properties": {"*": parts["star"]},
            "additionalProperties": parts["named"]["additionalProperties"],
        }
        return {"anyOf": [{"const": "*"}, named]}


class Fields(Model):  # the names are the API's own
    """The fields of a record, by their names on the wire."""

    userId: FieldSpec | None = None
    companyId: FieldSpec | None = None
    event: FieldSpec | None = None
    featureId: FieldSpec | None = None
    key: FieldSpec | None = None
    score: FieldSpec | None = None
    comment: FieldSpec | None = None
    feedbackId: FieldSpec | None = None
    promptId: FieldSpec | None = None
    question: FieldSpec | None = None
    promptedQuestion: FieldSpec | None = None
    source: FieldSpec | None = None
    action: FieldSpec | None = None
    evalResult: FieldSpec | None = None
    targetingVersion: FieldSpec | None = None
    evalRuleResults: FieldSpec | None = None
    evalMissingFields: FieldSpec | None = None
    attributes: Values | None = None
    evalContext: Values | None = None
    timestamp: FieldSpec | None = None

    def given(self) -> dict[str, FieldSpec | Values]:
        """Give the mapped fields by name."""
        return {name: spec for name in type(self).model_fields if (spec := getattr(self, name)) is not None}


def _start(value: object) -> object:
    """Read where a cursor starts: a time (UTC where it has no zone), a whole number, or any other text."""
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day)  # noqa: DTZ001  # the zone comes below
    if isinstance(value, str):
        with suppress(ValueError):
            value = datetime.fromisoformat(value)
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise ValueError("is no time, whole number or text")  # noqa: TRY004  # pydantic reports ValueErrors
    return value


class Cursor(Model):
    """Where a stream's query reads on: `:cursor` is the greatest value that was loaded, less the lookback."""

    column: Annotated[str, Field(min_length=1)]
    lookback: Duration = Field(default=0.0, description="how late a row may come")
    start: Annotated[datetime | int | str, BeforeValidator(_start), WithJsonSchema({"type": ["string", "integer"]})] = (
        Field(description="what `:cursor` is before the first run")
    )


class OnRemoved(Model):
    """What is sent for a user or a company whose row is no longer in the source."""

    attributes: dict[str, str | bool | int | float] = Field(min_length=1, description="constants, by name")
    limit: ShareOf = Field(
        default=Share(amount=5, percent=True),
        validate_default=False,
        description="stop before sending when more of what was known is gone",
    )

    @field_validator("attributes")
    @classmethod
    def _usable_names(cls, value: dict[str, object]) -> dict[str, object]:
        if "" in value or "*" in value:
            raise ValueError("are constants, each by its name; there is no row to take others from")
        return value


class Stream(Model):
    """One source mapped to one kind of record."""

    name: Name
    record: RecordKind
    source: SourceOrName
    fields: Fields
    key: Annotated[Texts, AfterValidator(_at_least_one)] | None = None
    where: str | None = None
    sync: SyncMode | None = None
    nulls: Literal["omit", "send"] = "omit"
    active: bool | None = None
    timezone: Timezone | None = None
    dst: Literal["earliest", "latest"] | None = None
    on_unknown: Literal["resend", "hold"] = "resend"
    cursor: Cursor | None = None
    on_removed: OnRemoved | None = None

    @property
    def kind(self) -> Kind:
        """The kind of its records."""
        return KINDS[self.record]

    @property
    def mode(self) -> Sync:
        """The sync mode, the kind's first where none is written."""
        return self.kind.syncs[0] if self.sync is None else SYNCS[self.sync]

    @property
    def ordered(self) -> bool:
        """Whether the last row of a key wins."""
        return self.kind.ordered


class Pipeline(Model):
    """A whole pipeline file."""

    name: Name
    version: Literal[1] = 1
    destination: Destination
    limits: Limits = Limits()
    hash_key: Annotated[SecretStr, AfterValidator(_hash_key)] | None = Field(
        default=None, description="for `hash: hmac`; only by reference, for example ${BUCKET_HASH_KEY}"
    )
    sources: dict[Name, AnySource] = {}
    streams: list[Stream] = Field(min_length=1)

    @property
    def hmac_key(self) -> bytes | None:
        """The bytes of `hash_key:`."""
        return None if self.hash_key is None else self.hash_key.get_secret_value().encode()

    def source_of(self, stream: Stream) -> AnySource:
        """Give a stream's source, looked up where it is a name."""
        return self.sources[stream.source] if isinstance(stream.source, str) else stream.source

    def ordered_streams(self) -> list[Stream]:
        """Return the streams in the order they are delivered: by kind, then as written."""
        kinds = list(KINDS)
        return sorted(self.streams, key=lambda stream: kinds.index(stream.record))


def interval_is_used(spec: AnySource) -> bool:
    """Tell whether what a source reads depends on the interval; a query in a file may, so it counts."""
    texts = [getattr(spec, name, None) for name in ("sql", "query")]
    if any(name.startswith("interval_") for text in texts if text for name in sql_parameters(text)):
        return True
    return PATH_PARAMETER.search(getattr(spec, "path", None) or "") is not None or bool(getattr(spec, "query_file", ""))


# --- what no single value can tell ---------------------------------------------------------------------------------

Problem = tuple[tuple[str | int, ...], str]

# What may stand in a path: `pub_...` (S2), or an old tracking key `tr...` (S4). A secret key may not, however it looks.
_PATH_KEY: Final = re.compile(r"\s*(pub_|tr)[A-Za-z0-9_-]+\s*")


def problems(data: Mapping[str, Any]) -> Iterator[Problem]:
    """Find what is wrong between values, on the plain data, so that it is told together with all other mistakes.

    Whatever is not of the expected shape is passed over: the models report it.
    """
    destination = data.get("destination")
    destination = destination if isinstance(destination, dict) else {}
    api: Api = next((api for api in get_args(Api) if api == destination.get("api")), "front")
    if api != "front":
        yield from _path_key_problems(api, destination.get("key"))
    streams = data.get("streams")
    streams = streams if isinstance(streams, list) else []
    sources = data.get("sources")
    known = sorted(sources) if isinstance(sources, dict) else []
    yield from _new_files_problems(data)
    names: list[object] = []
    for index, stream in enumerate(streams):
        if not isinstance(stream, dict):
            continue
        at = ("streams", index)
        if (name := stream.get("name")) in names:
            yield (*at, "name"), f"two streams are named {name!r}"
        names.append(name)
        if isinstance(source := stream.get("source"), str) and source not in known:
            yield (*at, "source"), f"no source is named {source!r} (named: {', '.join(known) or 'none'})"
        if not data.get("hash_key") and (field := _hashed_by_key(stream.get("fields"))):
            yield (*at, "fields", *field), "`hash: hmac` needs a key: write `hash_key: ${BUCKET_HASH_KEY}` at the top"
        for path, message in (*_cursor_problems(stream), *_removal_problems(stream, sources)):
            yield (*at, *path), message
        if (kind := _kind_of(stream)) is not None:
            for path, message in _stream_problems(kind, stream, api):
                yield (*at, *path), message


def _path_key_problems(api: Api, key: object) -> Iterator[Problem]:
    text = key.get_secret_value() if isinstance(key, SecretStr) else key
    if isinstance(text, str) and text.strip() and not _PATH_KEY.fullmatch(text):
        yield (
            ("destination", "key"),
            (
                f"`api: {api}` puts the key into the address, where a secret one must never be; give the publishable "
                "key (pub_...) or the tracking key (tr...)"
            ),
        )


def _hashed_by_key(fields: object) -> tuple[str, ...]:
    """Find a field that is hashed with a key."""
    for name, spec in fields.items() if isinstance(fields, dict) else ():
        if isinstance(spec, dict):
            if spec.get("hash") == "hmac":
                return (str(name),)
            if inner := _hashed_by_key(spec):
                return (str(name), *inner)
    return ()


def _new_files_problems(data: Mapping[str, Any]) -> Iterator[Problem]:
    """Refuse `new_files:` where nobody could say which stream has loaded a file."""
    sources, streams = data.get("sources"), data.get("streams")
    used = [stream.get("source") for stream in streams if isinstance(stream, dict)] if isinstance(streams, list) else []
    for name, source in sources.items() if isinstance(sources, dict) else ():
        if isinstance(source, dict) and source.get("new_files") and used.count(name) != 1:
            yield (
                ("sources", name, "new_files"),
                "is for a source that one stream uses, and no query: each stream remembers what it has loaded",
            )


def _cursor_problems(stream: Mapping[str, Any]) -> Iterator[Problem]:
    source = stream.get("source")
    source = source if isinstance(source, dict) else {}
    if "query_file" in source:
        return  # what it uses is seen when it is read
    texts = [source[name] for name in ("sql", "query") if isinstance(source.get(name), str)]
    used = any("cursor" in sql_parameters(text, dialect) for text in texts for dialect in get_args(SqlDialect))
    if used and "cursor" not in stream:
        yield ("source",), "the query uses :cursor; say what it is: `cursor: {column: updated_at, start: 2024-01-01}`"
    if not used and isinstance(stream.get("cursor"), dict):
        yield (
            ("cursor",),
            "has no effect: the stream's own query has to read from it, as in `where updated_at >= :cursor`",
        )


def _removal_problems(stream: Mapping[str, Any], sources: object) -> Iterator[Problem]:
    """Refuse `on_removed:` where a row that is not read may exist; a query in a file is seen when it is read."""
    if stream.get("on_removed") is None:
        return
    at = ("on_removed",)
    kind = _kind_of(stream)
    mode = None if kind is None else _mode_of(kind, stream)
    if kind is not None and not (mode is not None and mode.compares):
        yield at, "only `sync: changes` of users and companies remembers which rows there were"
    source = stream.get("source")
    source = sources.get(source) if isinstance(sources, dict) and isinstance(source, str) else source
    source = source if isinstance(source, dict) else {}
    texts = [source[name] for name in ("sql", "query") if isinstance(source.get(name), str)]
    used = {name for text in texts for dialect in get_args(SqlDialect) for name in sql_parameters(text, dialect)}
    exists = "so that a row may be missing that still exists"
    if PATH_PARAMETER.search(str(source.get("path") or "")) or used & {"interval_start", "interval_end"}:
        yield at, f"the source is read for an interval, {exists}"
    if "cursor" in stream or "cursor" in used:
        yield at, f"the source is read from a cursor on, {exists}"
    if source.get("new_files"):
        yield at, f"the source gives its new files alone, {exists}"


def _kind_of(stream: Mapping[str, Any]) -> Kind | None:
    record = stream.get("record")
    return KINDS.get(record) if isinstance(record, str) else None


def _mode_of(kind: Kind, stream: Mapping[str, Any]) -> Sync | None:
    """Return the sync mode that is written, or the kind's first; None where what is written is none."""
    written = stream.get("sync") or kind.syncs[0].name
    return SYNCS.get(written) if isinstance(written, str) else None


def _stream_problems(kind: Kind, stream: Mapping[str, Any], api: Api) -> Iterator[Problem]:
    if api != "front" and not kind.is_legacy:
        known = ", ".join(each.name for each in KINDS.values() if each.is_legacy)
        yield ("record",), f"`api: {api}` does not take {kind.a_name}, only {known}; use `api: front`"
        return
    fields = stream.get("fields")
    if isinstance(fields, dict):
        yield from _field_problems(kind, fields, api)
    mode = _mode_of(kind, stream)
    if mode is not None and mode not in kind.syncs:
        fitting = " or ".join(each.name for each in kind.syncs)
        yield ("sync",), f"`sync: {mode.name}` does not fit {kind.a_name}; use {fitting}"
    if "active" in stream and "context" not in contract.rules(kind.name, api):
        yield ("active",), f"{kind.a_name} has no context, so `active:` does not fit"
    if kind.ordered and stream.get("on_unknown") == "hold":
        yield ("on_unknown",), f"`hold` is for events and feedback; {kind.a_name} is safe to send again"
    if kind.ordered and "key" in stream:
        yield ("key",), f"`key:` is for events and feedback; {kind.a_name} is known by its ids"
    has_moment = isinstance(fields, dict) and "timestamp" in fields
    if mode is not None and mode.once and not (kind.ordered or "key" in stream or has_moment):
        yield (
            (),
            (
                f"`sync: {mode.name}` knows a record again by `key:`, or by its content with a mapped `timestamp:`; "
                "give one of them, or write `sync: full`"
            ),
        )


def _field_problems(kind: Kind, fields: Mapping[str, Any], api: Api) -> Iterator[Problem]:
    rules = contract.rules(kind.name, api)
    known = [name for name in rules if name != "context"]
    of_api = f" in `api: {api}`" if rules.keys() != contract.rules(kind.name).keys() else ""
    for name in fields:
        if name in Fields.model_fields and name not in known:
            yield ("fields", name), f"{kind.a_name} has no field {name!r}{of_api}; it has {', '.join(known)}"
    if missing := [name for name, rule in rules.items() if rule.required and name not in fields]:
        yield ("fields",), f"{kind.a_name} needs {' and '.join(missing)}"
    for group in contract.one_of(kind.name, api):
        if not any(name in fields for name in group):
            yield ("fields",), f"{kind.a_name} needs {' or '.join(group)}"
