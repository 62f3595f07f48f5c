"""Where something is: URLs and paths, and which of them may never be used."""

import ipaddress
import re
from typing import Annotated, Final
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, Field, SecretStr

from bucket_loader.model import is_loopback

PATH_PARAMETER: Final = re.compile(r"\{(interval_start|interval_end):([^{}]+)\}")

# Where a path may lead besides the local disk; `pyarrow.fs` reads all but https.
REMOTE: Final = ("s3", "gs", "az", "abfs", "abfss", "https", "http")
_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")


def scheme_of(path: str) -> str | None:
    """Return the scheme of a remote path, in lower case; None for a local one."""
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
    if scheme == "http" and not is_loopback(parts.hostname):
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


def _proxy(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("is not a proxy's URL; write for example http://proxy.example:3128")
    return value


def _base_url(value: str) -> str:
    why = "must not hold a user, a password, a query or a fragment; the key has its own place"
    parts = _address(value, "https://front.bucket.co", refused="@?#", why=why)
    _require_private(parts, "the key", "Bucket")
    return f"{parts.scheme}://{parts.netloc.lower()}{parts.path}".rstrip("/")


def _webhook(value: SecretStr) -> SecretStr:
    text = value.get_secret_value().strip()
    parts = _address(text, "https://hooks.example.com/services/...", refused="#", why="must not hold a fragment (#)")
    if "@" in parts.netloc:
        raise ValueError("must not hold a user or a password")
    _require_private(parts, "the message", "a webhook")
    return SecretStr(text)


def _address(value: str, example: str, *, refused: str, why: str) -> SplitResult:
    """Return the parts of an address of HTTP; what is wrong with one is said without quoting it: it may be a secret."""
    malformed = f"is not a URL; write for example {example}"
    if not re.fullmatch(r"(?i)https?://[!-~]+", value) or "\\" in value:
        raise ValueError(malformed)
    if any(sign in value for sign in refused):
        raise ValueError(why)
    try:
        parts = urlsplit(value)
    except ValueError:
        raise ValueError(malformed) from None
    if not _is_host(parts.hostname or ""):
        raise ValueError(malformed)
    try:
        port = parts.port
    except ValueError:  # its message would quote what may be a password
        port = 0
    if port == 0 or parts.netloc.endswith(":"):
        raise ValueError("has a port that is not a number from 1 to 65535")
    return parts


def _require_private(parts: SplitResult, what: str, meant: str) -> None:
    """Refuse an address that would show to others what is sent there, or that leads to a cloud's own host."""
    host = parts.hostname or ""
    if parts.scheme == "http" and not is_loopback(host):
        raise ValueError(f"must be https: over http {what} would travel in the clear (only loopback may use http)")
    if _metadata(host):
        raise ValueError(f"is a link-local or metadata address, which is never {meant}")


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
    """Whether this is a name or an address, and no address in disguise, whose last label is a number: 127.1, 0251.1."""
    if not re.fullmatch(r"(.*\.)?(\d+|0x[0-9a-f]*)\.?", host):
        return bool(host)
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


Location = Annotated[
    str,
    Field(min_length=1, description="local, relative to the pipeline file; or s3://, gs://, az://, https://"),
    AfterValidator(_path),
]
BaseUrl = Annotated[str, AfterValidator(_base_url)]
Webhook = Annotated[SecretStr, AfterValidator(_webhook)]
ProxyUrl = Annotated[str, AfterValidator(_proxy)]
Endpoint = Annotated[str, AfterValidator(_endpoint)]
