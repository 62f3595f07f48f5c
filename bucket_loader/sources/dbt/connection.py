"""From a target of dbt's profiles.yml to what the `sql` source takes: a URL, a user, a password."""

import base64
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlencode

from bucket_loader.sources.dbt.profiles import Target


@dataclass(frozen=True)
class Connection:
    """What a database is reached by; the URL holds no user and no password of one."""

    url: str
    user: str | None = None
    password: str | None = None

    def __repr__(self) -> str:
        return "Connection(...)"  # an option may be a secret


def connection_of(target: Target) -> Connection:
    """Return what a target of dbt connects with.

    Raises:
        SourceError: its type, or a word of it, has no meaning here.
    """
    kind = target.needed("type")
    adapter = _ADAPTERS.get(kind)
    if adapter is None:
        known = ", ".join(_ADAPTERS)
        raise target.refused("type", f"of dbt's adapters {known} are read by a profile, and this is {kind}")
    return adapter(target)


def _postgres(target: Target, scheme: str = "postgresql", port: str = "5432") -> Connection:
    options = _options(target, "sslmode", "sslcert", "sslkey", "sslrootcert")
    if role := target.text("role"):
        options["options"] = "-c role=" + re.sub(r"([\\ ])", r"\\\1", role)
    host = target.needed("host")
    if host.startswith("/"):  # the folder of a socket
        options["host"], options["port"], place = host, target.text("port") or port, ""
    elif re.search(r"[\s/?#@]", host):
        raise target.refused("host", "this is no host, which is a name or an address")
    else:
        place = f"{f'[{host}]' if ':' in host else host}:{target.text('port') or port}"
    url = _url(scheme, place, target.needed("dbname", "database"), options)
    return Connection(url, target.needed("user"), target.text("password", "pass"))


def _redshift(target: Target) -> Connection:
    if (method := target.text("method") or "database") != "database":
        raise target.refused("method", f"a user and a password are read, and no `method: {method}`")
    return _postgres(target, "redshift", "5439")


def _snowflake(target: Target) -> Connection:
    options = _options(target, "warehouse", "role", "authenticator")
    if token := target.text("token"):
        options["token"] = token
    if (key := _private_key(target)) is not None:
        options |= {"authenticator": "SNOWFLAKE_JWT", "privateKey": key}
    path = "/".join(part for part in (target.text("database"), target.text("schema")) if part)
    url = _url("snowflake", target.needed("account"), path, options)
    return Connection(url, target.needed("user"), target.text("password"))


def _private_key(target: Target) -> str | None:
    """Return a key that is not encrypted, as the driver's URL has it: the bytes of PKCS #8."""
    written = target.text("private_key")
    if file := target.text("private_key_path"):
        try:
            written = (target.project / Path(file).expanduser()).read_text("ascii")
        except (OSError, UnicodeDecodeError):
            raise target.refused("private_key_path", "there is no such file of a key that can be read") from None
    if written is None:
        return None
    name = "private_key_path" if file else "private_key"
    if target.text("private_key_passphrase") or "ENCRYPTED" in written:
        raise target.refused(name, "a key with a passphrase is not read")
    text = re.sub(r"-----[^-]+-----|\s", "", written)
    try:
        return base64.urlsafe_b64encode(base64.b64decode(text, validate=True)).decode()
    except ValueError:
        raise target.refused(name, "this is no key in the form of PEM or PKCS #8") from None


def _bigquery(target: Target) -> Connection:
    method = target.text("method") or "oauth"
    if method not in {"oauth", "service-account"}:
        raise target.refused("method", f"`oauth` and `service-account` are read, and no `method: {method}`")
    if target.text("impersonate_service_account"):
        raise target.refused("impersonate_service_account", "nobody is impersonated here")
    options = _options(target, "location")
    if method == "service-account":
        options["credentials"] = str(target.project / Path(target.needed("keyfile")).expanduser())
    project = target.text("execution_project") or target.needed("project", "database")
    return Connection(_url("bigquery", project, target.text("dataset", "schema") or "", options))


def _duckdb(target: Target) -> Connection:
    path = target.text("path") or ":memory:"
    if path.startswith(":memory:"):
        raise target.refused("path", "a database in memory is gone when dbt ends")
    if re.match(r"[A-Za-z]+:", path):
        raise target.refused("path", "a file of this machine is read, and this is none")
    return Connection(f"duckdb:///{(target.project / Path(path).expanduser()).absolute()}")


def _options(target: Target, *names: str) -> dict[str, str]:
    """Return the options of a URL that have the same name in a profile."""
    return {name: text for name in names if (text := target.text(name))}


def _url(scheme: str, place: str, path: str, options: Mapping[str, str]) -> str:
    return f"{scheme}://{place}/{quote(path)}" + (f"?{urlencode(options, quote_via=quote)}" if options else "")


_ADAPTERS: Final[Mapping[str, Callable[[Target], Connection]]] = {
    "postgres": _postgres,
    "redshift": _redshift,
    "snowflake": _snowflake,
    "bigquery": _bigquery,
    "duckdb": _duckdb,
}
