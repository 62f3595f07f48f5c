"""Files in a store: S3, Google Cloud Storage and Azure through `pyarrow.fs`, and single files over https.

Credentials are found where each provider's own tools find them (environment, configuration files, instance roles);
nothing here takes, holds or shows one.
"""

import fnmatch
import glob
import hashlib
import io
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar, Final, cast
from urllib.parse import urlsplit

from bucket_loader.config import Storage
from bucket_loader.model import SourceError, SourceUnavailableError
from bucket_loader.sources.files.input_file import InputFile, NothingFoundError, Partitions, partitions_of
from bucket_loader.sources.stores.https import HttpFile

if TYPE_CHECKING:
    from pyarrow import fs

_CONNECT_S: Final = 10
_REQUEST_S: Final = 60
_ATTEMPTS: Final = 3
# Bytes of an object that is held whole, since many small requests take longer than one.
_AT_ONCE_BYTES: Final = 32 * 1024 * 1024
# What a store says of an object that is different when its bytes are, in letters only.
_TAGS: Final = frozenset(
    {"etag", "versionid", "generation", "size", "contentlength", "lastmodified", "md5hash", "crc32c"}
)
_REFUSALS: Final = (
    "ACCESS_DENIED", "INVALID_ACCESS_KEY_ID", "SIGNATURE_DOES_NOT_MATCH", "INVALID_CLIENT_TOKEN_ID", "EXPIRED_TOKEN",
    "UNRECOGNIZED_CLIENT", "MISSING_AUTHENTICATION_TOKEN", "HTTP STATUS 401", "HTTP STATUS 403", "PERMISSION_DENIED",
    "UNAUTHENTICATED", "FORBIDDEN", "AUTHENTICATIONFAILED", "AUTHORIZATION", "NOT AUTHORIZED", "CREDENTIAL",
    "PERMISSION DENIED", "INVALIDACCESSKEYID", "401 UNAUTHORIZED",
)  # fmt: skip
_MISSING: Final = ("NO_SUCH_BUCKET", "NO_SUCH_KEY", "RESOURCE_NOT_FOUND", "NOT_FOUND", "NOT FOUND", "CONTAINERNOTFOUND")
_STORE_WORDS: Final = (
    "AWS ERROR",
    "GOOGLE::CLOUD",
    "AZURE",
    "CURL",
    "OPERATION:",
    "ERROR CODE",
    "HTTP STATUS",
    "GENERIC S3",
    "GENERIC GCS",
    "HTTP ERROR",
)

_CREDENTIALS: Final = {
    "s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or the role of the machine",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS, `gcloud auth application-default login`, or the machine's account",
    "az": "AZURE_STORAGE_KEY or AZURE_STORAGE_SAS_TOKEN, `az login`, AZURE_CLIENT_ID and its like, or the machine's",
}


def found(path: str, storage: Storage | None, *, required: bool = True) -> list[InputFile]:
    """Find the files that a remote path means, sorted by name.

    Raises:
        SourceError: there are none and they are `required`, or the store refuses.
        SourceUnavailableError: the store cannot be reached.
    """
    if path.lower().startswith(("https:", "http:")):
        return [HttpFile(path)]
    place = place_of(path, storage or Storage())
    try:
        below = sorted(place.files(), key=lambda found: found[0])
    except OSError as error:
        raise place.refused(error, place.name(place.key)) from error
    if not below and required:
        magic = glob.has_magic(place.key)
        raise NothingFoundError(
            f"no file matches {place.name(place.key)}" if magic else f"there is no file {place.name(place.key)}",
            hint="look at the bucket's list; names are exact, also in upper and lower case",
        )
    return [RemoteFile(place, key, partitions, size) for key, partitions, size in below]


def place_of(path: str, storage: Storage) -> "Place":
    """Return the store and the key that a path means."""
    parts = urlsplit(path, allow_fragments=False)
    scheme = {"abfs": "az", "abfss": "az"}.get(parts.scheme.lower(), parts.scheme.lower())
    bucket, _, host = parts.netloc.partition("@")
    if host:
        storage = storage.model_copy(update={"account": storage.account or host.split(".")[0]})
    # A `?` is a wildcard here, not the beginning of a query.
    rest = path.partition("://")[2].partition("/")[2].strip("/")
    return Place(scheme, path.partition("://")[0], parts.netloc, f"{bucket}/{rest}".rstrip("/"), storage)


@dataclass(frozen=True)
class Place:
    """Where a path leads: a store, and the bucket and key in it.

    Attributes:
        scheme: s3, gs or az.
        written: the scheme as the user spelt it.
        netloc: the bucket, or container@account, as the user spelt it.
        key: the bucket, a slash, and the key or the pattern of keys.
        storage: what the pipeline file says of the store.
    """

    scheme: str
    written: str
    netloc: str
    key: str
    storage: Storage
    _opened: "list[fs.FileSystem]" = field(default_factory=list, compare=False, repr=False)

    def __getstate__(self) -> dict[str, Any]:
        """Leave the opened store behind: it may hold a key. Another process opens it with what it finds itself."""
        return {**vars(self), "_opened": []}

    @property
    def system(self) -> "fs.FileSystem":
        """The store, opened once."""
        if not self._opened:
            self._opened.append(_system(self))
        return self._opened[0]

    def name(self, key: str) -> str:
        """Spell a key as its whole path."""
        return f"{self.written}://{self.netloc}/{key.partition('/')[2]}"

    def files(self) -> Iterator[tuple[str, Partitions, int | None]]:
        """Return the keys that the path means, each with its partitions and its bytes."""
        from pyarrow import fs

        bucket, _, rest = self.key.partition("/")
        whole = self.system.get_file_info(self.key) if rest else None
        if whole is not None and whole.is_file:
            yield self.key, (), whole.size
            return
        if whole is None or whole.type == fs.FileType.Directory:
            fixed, below = self.key, self._below(self.key)
        else:
            parts = rest.split("/")
            plain = next((place for place, part in enumerate(parts) if glob.has_magic(part)), len(parts))
            fixed, below = "/".join([bucket, *parts[:plain]]), self._matching(bucket, parts)
        for info in below:
            yield info.path, partitions_of(info.path.removeprefix(fixed).strip("/").split("/")[:-1]), info.size

    def _below(self, folder: str) -> "Iterator[fs.FileInfo]":
        for info in self._listed(folder, recursive=True):
            inner = info.path.removeprefix(folder).strip("/").split("/")
            if info.is_file and not any(part.startswith(("_", ".")) for part in inner):
                yield info

    def _matching(self, folder: str, parts: Sequence[str]) -> "Iterator[fs.FileInfo]":
        """Follow a pattern folder by folder, so that only what can match is listed."""
        plain = next((place for place, part in enumerate(parts) if glob.has_magic(part)), len(parts))
        folder, parts = "/".join([folder, *parts[:plain]]), parts[plain:]
        if not parts:
            if (found := self.system.get_file_info(folder)).is_file:
                yield found
        elif "**" in parts:
            for info in self._listed(folder, recursive=True):
                if info.is_file and _matches(info.path.removeprefix(folder).strip("/").split("/"), parts):
                    yield info
        else:
            for info in self._listed(folder, recursive=False):
                if not _matches([info.base_name], parts[:1]) or info.is_file == (len(parts) > 1):
                    continue
                yield from [info] if info.is_file else self._matching(info.path, parts[1:])

    def _listed(self, folder: str, *, recursive: bool) -> "list[fs.FileInfo]":
        from pyarrow import fs

        # A bucket that is missing is an error, a folder in it only has no files.
        selector = fs.FileSelector(folder, recursive=recursive, allow_not_found="/" in folder)
        return list(self.system.get_file_info(selector))

    def refused(self, error: Exception, name: str) -> SourceError:
        """Say what a store's error means for the user; its own words hold requests and keys, and are not shown."""
        text = str(error).upper()
        bucket = f"{self.written}://{self.netloc}"
        if any(word in text for word in ("NO_SUCH_BUCKET", "CONTAINERNOTFOUND")):
            return SourceError(f"there is no bucket {bucket}", hint="is its name right, and the store the right one?")
        if isinstance(error, PermissionError) or any(word in text for word in _REFUSALS):
            return SourceError(
                f"{name} cannot be read: the store refuses",
                hint=f"credentials come from {_CREDENTIALS[self.scheme]}; they need to list and to read; "
                "for public data write `storage: {anonymous: true}`",
            )
        if isinstance(error, FileNotFoundError) or any(word in text for word in _MISSING):
            return SourceError(f"there is no file {name}", hint="was it moved or deleted? names are exact")
        return SourceUnavailableError(
            f"{name} cannot be read: the store cannot be reached, or fails",
            hint="look at the network, `storage: {endpoint, region}`, and the store's state; then run again",
        )


@dataclass(frozen=True)
class RemoteFile:
    """An object of a store."""

    place: Place
    key: str
    partitions: Partitions = ()
    listed_bytes: int | None = field(default=None, compare=False)
    travels: ClassVar[bool] = True

    @property
    def name(self) -> str:
        """Its whole path."""
        return self.place.name(self.key)

    def open(self, *, at_once: bool = False) -> BinaryIO:
        """Open it: every range that is read is one request of the store, or all of a small one."""
        try:
            stream = self.place.system.open_input_file(self.key)
            if at_once and stream.size() <= _AT_ONCE_BYTES:
                with stream:
                    return io.BytesIO(stream.readall())
        except OSError as error:
            raise self.place.refused(error, self.name) from error
        return cast("BinaryIO", stream)

    def size(self) -> int | None:
        """Return its bytes, as it was listed."""
        return self.listed_bytes

    def identity(self) -> Sequence[object]:
        """Return what the store says of it: its tag, version, size and time."""
        try:
            with self.place.system.open_input_file(self.key) as stream:
                said = stream.metadata() or {}
                size = stream.size()
        except OSError as error:
            raise self.place.refused(error, self.name) from error
        tags = {_letters(key): bytes(value) for key, value in said.items() if _letters(key) in _TAGS}
        if "etag" not in tags:
            info = self.place.system.get_file_info(self.key)
            tags["mtime"] = str(info.mtime_ns).encode()
        return size, sorted(tags.items())

    def content(self) -> tuple[int, str]:
        """Return its size and the store's tag of its content, without reading it."""
        size, tags = self.identity()
        said = dict(cast("list[tuple[str, bytes]]", tags))
        known = [(tag, said[tag]) for tag in ("etag", "md5hash", "crc32c", "generation", "mtime") if tag in said]
        return cast("int", size), f"{known[0][0]}:{hashlib.sha256(repr(known[0]).encode()).hexdigest()}"

    def trouble(self, error: OSError) -> SourceError | None:
        """Word an error of the store; None for one of the format."""
        return self.place.refused(error, self.name) if is_the_stores(error) else None


def is_the_stores(error: Exception) -> bool:
    """Whether an error is a store's, and not a format's."""
    text = str(error).upper()
    return isinstance(error, (FileNotFoundError, PermissionError)) or any(word in text for word in _STORE_WORDS)


def _letters(key: object) -> str:
    text = key.decode() if isinstance(key, bytes) else str(key)
    return "".join(filter(str.isalnum, text)).lower()


def _matches(names: Sequence[str], parts: Sequence[str]) -> bool:
    """Hold the folders and the name of a key against a pattern, as `glob` does: `*` does not show what is hidden."""
    if not parts:
        return not names
    if parts[0] == "**" and _matches(names, parts[1:]):
        return True
    if not names or (names[0].startswith(".") and not parts[0].startswith(".")):
        return False
    if parts[0] == "**":
        return _matches(names[1:], parts)
    return fnmatch.fnmatchcase(names[0], parts[0]) and _matches(names[1:], parts[1:])


# --- the stores ----------------------------------------------------------------------------------------------------


def _system(place: Place) -> "fs.FileSystem":
    makers = {"s3": _s3, "gs": _google, "az": _azure}
    return makers[place.scheme](place.storage, place.key.partition("/")[0])


def _s3(storage: Storage, bucket: str) -> "fs.FileSystem":
    from pyarrow import fs

    endpoint = storage.endpoint or os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    region = storage.region or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    if region is None and endpoint is None:
        try:
            region = fs.resolve_s3_region(bucket)
        except OSError as error:
            raise Place("s3", "s3", bucket, bucket, storage).refused(error, f"s3://{bucket}") from error
    return fs.S3FileSystem(
        anonymous=storage.anonymous,
        region=region,
        endpoint_override=endpoint,
        connect_timeout=_CONNECT_S,
        request_timeout=_REQUEST_S,
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=_ATTEMPTS),
        allow_delayed_open=True,  # a small file of a state is written with one request
    )


def _google(storage: Storage, _: str) -> "fs.FileSystem":
    from pyarrow import fs

    parts = urlsplit(storage.endpoint or "")
    return fs.GcsFileSystem(
        anonymous=storage.anonymous,
        scheme=parts.scheme or "https",
        endpoint_override=parts.netloc or None,
        retry_time_limit=timedelta(seconds=_REQUEST_S),
    )


def _azure(storage: Storage, _: str) -> "fs.FileSystem":
    from pyarrow import fs

    account = storage.account or os.environ.get("AZURE_STORAGE_ACCOUNT")
    if account is None:
        raise SourceError(
            "an az:// path needs the name of its account",
            hint="write `storage: {account: ...}`, set AZURE_STORAGE_ACCOUNT, "
            "or write abfss://container@account.dfs.core.windows.net/path",
        )
    parts = urlsplit(storage.endpoint or "")
    place = {name: parts.netloc for name in ("blob_storage_authority", "dfs_storage_authority") if parts.netloc}
    place |= {name: parts.scheme for name in ("blob_storage_scheme", "dfs_storage_scheme") if parts.scheme}
    key, token = os.environ.get("AZURE_STORAGE_KEY"), os.environ.get("AZURE_STORAGE_SAS_TOKEN")
    if storage.anonymous:
        key = token = None
    return fs.AzureFileSystem(account, account_key=key, sas_token=None if key else token, **place)
