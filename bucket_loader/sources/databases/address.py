"""A database's URL: where it is, who asks, and which parts of it no message may show."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qsl, quote, quote_plus, unquote, urlencode

from bucket_loader.config import SqlSource
from bucket_loader.model import SourceError

_HOST: Final = r"(?:\[[0-9A-Fa-f:.]+(?:%25\w+)?\]|[A-Za-z0-9._~%-]*)(?::(\d{1,5})?)?"
_HOSTS: Final = re.compile(rf"{_HOST}(?:,{_HOST})*")
# Options whose values are secrets, whatever else their name says.
_SECRET_OPTION: Final = re.compile(r"pass|pwd|secret|token|key|credential|connect", re.IGNORECASE)
_PORT_MAX: Final = 65_535


@dataclass(frozen=True)
class Address:
    """A URL in its parts, each as it is meant (not percent-encoded), but for `hosts`.

    Attributes:
        scheme: the kind of database, in lower case, without a driver's name.
        hosts: `host:port`, or several with commas, as written.
        path: what comes after the host, without the first slash.
        options: what comes after `?`.
        user: from the URL, or from `user:`.
        password: from the URL, or from `password:`.
        url: the whole, as it was given.
    """

    scheme: str
    hosts: str
    path: str
    options: Mapping[str, str] = field(repr=False)
    user: str | None = field(repr=False)
    password: str | None = field(repr=False)
    url: str = field(repr=False)

    @property
    def name(self) -> str:
        """What to call the database in a message."""
        place = "/".join(part for part in (self.hosts, self.path) if part)
        return f"{self.scheme} at {place}" if place else self.scheme

    @property
    def host(self) -> str | None:
        """The one host, without its port."""
        name = re.sub(r":\d*$", "", self.hosts)
        return unquote(name.strip("[]")) or None

    @property
    def port(self) -> int | None:
        """The one host's port."""
        match = re.search(r":(\d+)$", self.hosts)
        return int(match[1]) if match else None

    def rebuilt(self, scheme: str, **defaults: str) -> str:
        """Spell the URL again, everything encoded; `defaults` are options that it may not have."""
        user = "" if self.user is None else quote(self.user, safe="")
        password = "" if self.password is None else ":" + quote(self.password, safe="")
        who = f"{user}{password}@" if user or password else ""
        options = urlencode({**defaults, **self.options}, quote_via=quote)
        return f"{scheme}://{who}{self.hosts}/{quote(self.path)}" + (f"?{options}" if options else "")

    def scrubbed(self, text: str) -> str:
        """Take every secret out of a text, however it is spelt, and keep the text on few lines."""
        for secret in self._secrets():
            text = text.replace(secret, "***")
        return " ".join(text.split())

    def _secrets(self) -> list[str]:
        plain = {self.password or ""}
        plain |= {value for name, value in self.options.items() if _SECRET_OPTION.search(name)}
        encoders = (
            str,
            quote,
            quote_plus,
            lambda text: quote(text, safe=""),
            unquote,
            repr,
            lambda text: repr(text)[1:-1],
        )
        spelt = {encode(secret) for secret in plain for encode in encoders} - {"", "''"}
        return sorted({self.url, *spelt}, key=len, reverse=True)


SCHEMES: Final = (
    "sqlite", "duckdb", "postgresql", "redshift", "mysql", "mariadb", "snowflake", "bigquery", "mssql", "oracle",
    "trino",
)  # fmt: skip
"""What a database URL begins with, of those that are read here and of the best known that SQLAlchemy reads."""


def database_scheme(url: str) -> str:
    """Return a URL's scheme without a driver's name, in lower case; empty when it is no URL."""
    match = re.match(r"([A-Za-z][A-Za-z0-9]*)(?:\+[A-Za-z0-9_.]+)?://", url)
    return match[1].lower() if match else ""


def address_of(spec: SqlSource) -> Address:
    """Take a source's URL apart. No message here shows any of it, since what is misplaced may be a password.

    Raises:
        SourceError: it is no URL, or a sign in it that should be encoded makes it mean something else.
    """
    url = spec.url.get_secret_value().strip()
    rest = url.partition("://")[2]
    end = min((place for sign in "/?#" if (place := rest.find(sign)) >= 0), default=len(rest))
    authority, tail = rest[:end], rest[end:]
    who, at, hosts = authority.rpartition("@")
    path, _, query = tail.partition("?")
    if "@" in tail or "#" in tail or not _is_hosts(hosts):
        raise SourceError(
            "the database URL cannot be taken apart: host, port or path are not what they should be",
            hint="in a user or password, write @ as %40, / as %2F, : as %3A, # as %23, ? as %3F; "
            "or give `user:` and `password:` apart from the URL",
        )
    name, colon, password = who.partition(":")
    return Address(
        scheme=database_scheme(url),
        hosts=hosts,
        path=unquote(path.removeprefix("/")),
        options=dict(parse_qsl(query, keep_blank_values=True)),
        user=_secret(spec.user, unquote(name) if at and name else None),
        password=_secret(spec.password, unquote(password) if colon else None),
        url=url,
    )


def _secret(given: object, found: str | None) -> str | None:
    value = getattr(given, "get_secret_value", None)
    return str(value()) if value is not None else found


def _is_hosts(hosts: str) -> bool:
    ports = [int(port) for port in re.findall(r":(\d+)(?:,|$)", hosts)]
    return _HOSTS.fullmatch(hosts) is not None and all(0 < port <= _PORT_MAX for port in ports)
