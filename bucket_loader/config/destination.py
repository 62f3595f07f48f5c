"""Where records go, and how hard to try."""

import ssl
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, ValidationError, model_validator

from bucket_loader.config.addresses import BaseUrl, ProxyUrl
from bucket_loader.config.noting import in_our_words
from bucket_loader.config.scalars import Duration, Key, Model, Name, PositiveDuration, Size
from bucket_loader.model import Api, UsageError, contract, is_loopback


def _chunk_bytes(value: int) -> int:
    if not 1024 <= value <= 64 * 1024 * 1024:  # noqa: PLR2004  # 1 KiB and 64 MiB
        raise ValueError("must be between 1KiB and 64MiB")
    return value


def _certificates(value: Path) -> Path:
    if not value.is_file():
        raise ValueError("there is no such file; give an absolute path")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(value)
    except OSError as error:  # ssl's own is one
        why = "there is no certificate in it" if isinstance(error, ssl.SSLError) else error.strerror
        raise ValueError(f"is no file of certificates (PEM): {why}") from None
    return value


class ChunkSize(Model):
    """How much one request carries; whichever comes first."""

    records: int = Field(default=contract.CHUNK_RECORDS_MAX_KNOWN, ge=1, le=10_000)
    bytes: Annotated[Size, AfterValidator(_chunk_bytes)] = 512 * 1024


class Destination(Model):
    """Where records go, and how hard to try."""

    base_url: BaseUrl = Field(
        default="https://front.bucket.co", description="with `api: tracking-legacy`: https://tracking.bucket.co"
    )
    key: Key = Field(description="only by reference, for example ${BUCKET_SECRET_KEY}")
    environment: Name = "production"
    chunk: ChunkSize = ChunkSize()
    concurrency: Literal["auto"] | Annotated[int, Field(ge=1, le=64)] = "auto"
    patience: Duration = 1800.0
    timeout: PositiveDuration = Field(default=30.0, description="the whole of one attempt")
    requests_per_second: float | None = Field(default=None, gt=0)
    proxy: ProxyUrl | None = None
    ca_bundle: Annotated[Path, AfterValidator(_certificates)] | None = None
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

    @property
    def is_here(self) -> bool:
        """Whether it is on this machine, and nobody passes on what is sent there."""
        return self.proxy is None and is_loopback(urlsplit(self.base_url).hostname or "")


def destination_at(base_url: str, key: str) -> Destination:
    """Make a destination of words that stand in no file.

    Raises:
        UsageError: it cannot be one; the message does not hold the key.
    """
    try:
        return Destination.model_validate({"base_url": base_url, "key": key})
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)[0]
        what = "the key" if found["loc"] == ("key",) else base_url
        raise UsageError(f"{what} {in_our_words(found)}") from None
