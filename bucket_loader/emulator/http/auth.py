"""The two keys, and which of them opens what.

Source: S0 (secret keys in the header, publishable keys in the header or the query), S2 and S4 (the key as the first
segment of the path; the Segment plug-in says that it is the publishable one), OA15 and OA-time docs (which key
for which endpoint), the test of BROW's bulk queue (401 INVALID_API_KEY), DOC (403 for a key on the wrong endpoint).
"""

import secrets
from dataclasses import dataclass
from typing import Final, Protocol
from urllib.parse import parse_qs

from bucket_loader.emulator.http.answers import Answer, refusal

UNKNOWN_KEY: Final = refusal(401, "INVALID_API_KEY", "The key is missing or not known")
WRONG_KEY: Final = refusal(403, "INVALID_API_KEY", "This endpoint needs the secret key, in the Authorization header")


class Credentials(Protocol):
    """What a call says of who makes it.

    Attributes:
        authorization: the header.
        query: of the URL, encoded.
        path_key: the key in the path of a legacy call; None in any other.
    """

    authorization: bytes
    query: bytes
    path_key: bytes | None


@dataclass(frozen=True)
class Keys:
    """The keys of the one environment that the emulator plays."""

    secret: str
    publishable: str

    @classmethod
    def given_or_random(cls, secret: str | None, publishable: str | None) -> "Keys":
        """Keep the keys that are given and make up the others, readable and longer than 22 characters (NODE)."""
        return cls(
            secret=secret or f"sec_local_{secrets.token_hex(12)}",
            publishable=publishable or f"pub_local_{secrets.token_hex(12)}",
        )

    def refuse(self, given: Credentials, *, secret_only: bool) -> Answer | None:
        """Return the refusal that these credentials earn, or None when they are right.

        The path wins over the header, the header over the query; a secret key is recognised in the header only (S0).
        """
        if given.path_key is not None:
            return None if given.path_key == self.publishable.encode() else UNKNOWN_KEY
        scheme, _, token = given.authorization.partition(b" ")
        key = token.strip() if scheme.lower() == b"bearer" else b""
        if key == self.secret.encode():
            return None
        if not given.authorization:
            key = _query_key(given.query)
        if key == b"" or key != self.publishable.encode():
            return UNKNOWN_KEY
        return WRONG_KEY if secret_only else None


def _query_key(query: bytes) -> bytes:
    values = parse_qs(query.decode("latin-1")).get("publishableKey", [""])
    return values[-1].encode()
