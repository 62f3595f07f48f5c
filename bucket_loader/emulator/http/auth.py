"""The two keys, and which of them opens what.

Source: S0 (secret keys in the header, publishable keys in the header or the query), S2 and S4 (the key as the first
segment of the path; the Segment plug-in says that it is the publishable one), OA15 and OA-time docs (which key
for which endpoint), the test of BROW's bulk queue (401 INVALID_API_KEY), DOC (403 for a key on the wrong endpoint).
"""

from typing import Final, Protocol
from urllib.parse import parse_qs

from bucket_loader.emulator.answers import Answer, refusal
from bucket_loader.emulator.store.keys import Keys

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


def refuse(keys: Keys, given: Credentials, *, secret_only: bool) -> Answer | None:
    """Return the refusal that these credentials earn, or None when they are right.

    The path wins over the header, the header over the query; a secret key is recognised in the header only (S0).
    """
    if given.path_key is not None:
        return None if given.path_key == keys.publishable.encode() else UNKNOWN_KEY
    scheme, _, token = given.authorization.partition(b" ")
    key = token.strip() if scheme.lower() == b"bearer" else b""
    if key == keys.secret.encode():
        return None
    if not given.authorization:
        key = _query_key(given.query)
    if key != keys.publishable.encode():
        return UNKNOWN_KEY
    return WRONG_KEY if secret_only else None


def _query_key(query: bytes) -> bytes:
    values = parse_qs(query.decode("latin-1")).get("publishableKey", [""])
    return values[-1].encode()
