"""URLs that hold a secret: what a person may see of them, and the variable that stands for them in a file."""

import re
from typing import Final

from bucket_loader.config import REMOTE, scheme_of
from bucket_loader.model import UsageError

# A password may hold any sign, also those that end a part of a URL: everything up to the last @ is the user's.
_USER: Final = re.compile(r"(://[^:/?#@]*):.*@")
_WORD: Final = re.compile(
    r"((?:pass|pwd|secret|token|key|credential|connect|sig)[^=&;\s]*\s*=\s*)[^&;\s]+", re.IGNORECASE
)
# A user, and a password that may hold any sign but @; a colon before digits and a slash is that of a port.
_LOGIN: Final = re.compile(r"[^:/]*://[^/@:]*(?::(?!\d+[/?#])[^@]*)?@")
_HTTP: Final = frozenset({"http", "https"})


def apart(source: str) -> tuple[str, str]:
    """Return the URL of a database and the table that stands behind its #; no table where it names none."""
    start = found.end() if (found := _LOGIN.match(source)) else 0
    rest, _, table = source[start:].partition("#")
    return source[:start] + rest, table


def variable_of(source: str) -> str | None:
    """Return the variable that stands for a URL that holds a secret, or what may be one; None where it holds none.

    Raises:
        UsageError: the secret stands where no source reads it.
    """
    scheme = scheme_of(source)
    if scheme in _HTTP:
        if re.match(r"https?://[^/?#]*@", source, re.IGNORECASE):
            hint = "give an address that needs none: one that is signed, or a file on this machine"
            raise UsageError(f"{shown(source)} holds a user or a password, and no source logs in by address", hint=hint)
        return "EXPORT_URL" if "?" in source else None
    if scheme in {None, *REMOTE}:
        return None
    return "DATABASE_URL" if _USER.search(source) or _WORD.search(source) else None


def shown(source: str) -> str:
    """Return a URL, or what was meant as one, as a person may see it."""
    whole = source if scheme_of(source) is None else source.partition("?")[0]
    return _WORD.sub(r"\1***", _USER.sub(r"\1:***@", whole))
