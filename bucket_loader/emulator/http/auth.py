"""Whose call it is by its key, and which of the two keys opens what.

Source: S0 (secret keys in the header, publishable keys in the header or the query), S2 and S4 (the key as the first
segment of the path; the Segment plug-in says that it is the publishable one), OA15 and OA-time docs (which key
for which endpoint), the test of BROW's bulk queue (401 INVALID_API_KEY), DOC (403 for a key on the wrong endpoint).
"""

from typing import Final, Literal, Protocol, TypeAlias
from urllib.parse import parse_qs

from bucket_loader.emulator.answers import Answer, refusal
from bucket_loader.emulator.environment import Environment
from bucket_loader.emulator.environments import Environments

UNKNOWN_KEY: Final = refusal(401, "INVALID_API_KEY", "The key is missing or not known")
WRONG_KEY: Final = refusal(403, "INVALID_API_KEY", "This endpoint needs the secret key, in the Authorization header")

# What the key of a call is.
Rank: TypeAlias = Literal["secret", "publishable", "unknown"]


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


def identify(environments: Environments, given: Credentials) -> tuple[Environment, Rank]:
    """Return whose call it is, and what its key may do; a call whose key nobody knows is one of `main`.

    The path wins over the header, the header over the query; a secret key is recognised in the header only (S0).
    """
    key = given.path_key
    if key is None:
        scheme, _, token = given.authorization.partition(b" ")
        key = token.strip() if scheme.lower() == b"bearer" else b""
        environment = environments.by_secret.get(key)
        if environment is not None:
            return environment, "secret"
        if not given.authorization:
            key = _query_key(given.query)
    environment = environments.by_publishable.get(key)
    return (environments.main, "unknown") if environment is None else (environment, "publishable")


def refuse(rank: Rank, *, secret_only: bool) -> Answer | None:
    """Return the refusal that a key earns, or None when it is right."""
    if rank == "unknown":
        return UNKNOWN_KEY
    return WRONG_KEY if secret_only and rank != "secret" else None


def _query_key(query: bytes) -> bytes:
    values = parse_qs(query.decode("latin-1")).get("publishableKey", [""])
    return values[-1].encode()
