"""The pipeline file as frozen models: what may be written, and what it means (DESIGN section 4).

The models know nothing of YAML; `yaml_file` turns text into them and finds the place of each mistake. Every message
is read by a person who is looking at that file.
"""

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from bucket_loader.config.any_source import AnySource
from bucket_loader.config.destination import Destination
from bucket_loader.config.limits import NO_LIMITS, NO_TOP_LIMITS, Limits, TopLimits
from bucket_loader.config.notify import Webhooks
from bucket_loader.config.scalars import HashKey, Keep, Model, Name
from bucket_loader.config.stream import Stream
from bucket_loader.model import KINDS, ArrayForm


def _email(value: str) -> str:
    if not re.fullmatch(r"[^@\s]+@[^@\s]+", value):
        raise ValueError("is no address; write for example growth@example.com")
    return value


def _page(value: str) -> str:
    if not re.fullmatch(r"https?://\S+", value):
        raise ValueError("is no URL; write for example https://wiki.example.com/nightly")
    return value


class Owner(Model):
    """Who answers for a pipeline."""

    name: str | None = Field(default=None, min_length=1)
    email: Annotated[str, AfterValidator(_email)] | None = None
    url: Annotated[str, AfterValidator(_page)] | None = Field(
        default=None, description="a page about the pipeline: how it is run, whom to ask"
    )

    @model_validator(mode="after")
    def _somebody(self) -> Self:
        if self.name is None and self.email is None:
            raise ValueError("needs `name:` or `email:`")
        return self


class Pipeline(Model):
    """A whole pipeline file."""

    name: Name
    version: Literal[1] = 1
    description: str | None = Field(default=None, min_length=1, description="what it is for, in a sentence")
    owner: Owner | None = Field(default=None, description="who answers for it: a name, an email address, a page")
    destination: Destination
    limits: TopLimits = NO_TOP_LIMITS
    arrays: ArrayForm | None = Field(
        default=None,
        description="how lists are sent: whole, or each item with a dotted name (tags.0); keep for a new pipeline, "
        "flatten for one that has delivered so",
    )
    on_truncation: Literal["reject", "send"] | None = Field(
        default=None,
        description="what becomes of a row of which Bucket would store less than is sent; reject with `arrays: keep`",
    )
    hash_key: HashKey | None = Field(
        default=None, description="for `hash: hmac`; only by reference, for example ${BUCKET_HASH_KEY}"
    )
    keep: Keep = Field(
        default=30 * 86400.0,
        description="how long the plans, dead letters and requests of ended runs stay, for example 30d; or forever",
    )
    notify: Webhooks = Field(default=[], description="who is told how a run ended; one webhook, or a list of them")
    impact: Literal["on", "off"] = Field(
        default="off",
        description="whether each plan and run reads the definitions of features and says which of them change",
    )
    sources: dict[Name, AnySource] = Field(default={})
    streams: list[Stream] = Field(min_length=1)

    @property
    def hmac_key(self) -> bytes | None:
        """The bytes of `hash_key:`."""
        return None if self.hash_key is None else self.hash_key.get_secret_value().encode()

    def source_of(self, stream: Stream) -> AnySource:
        """Return a stream's source, looked up where it is a name."""
        return self.sources[stream.source] if isinstance(stream.source, str) else stream.source

    def limits_of(self, stream: Stream) -> Limits:
        """Return the limits that hold for a stream: its own words win over those at the top."""
        return stream.limits.under(self.limits)

    def without_limits(self) -> Self:
        """Return the pipeline with no limits at all."""
        streams = [stream.model_copy(update={"limits": NO_LIMITS}) for stream in self.streams]
        return self.model_copy(update={"limits": NO_TOP_LIMITS, "streams": streams})

    def without_impact(self) -> Self:
        """Return the pipeline as one that asks for no definitions of features."""
        limits = self.limits.model_copy(update={"flips": None, "unknown": None})
        return self.model_copy(update={"impact": "off", "limits": limits})

    @property
    def asks_for_impact(self) -> bool:
        """Whether each plan and run says which features change: in so many words, or by a limit on that."""
        return self.impact == "on" or bool(self.limits.flips) or self.limits.unknown is not None

    def ordered_streams(self) -> list[Stream]:
        """Return the streams in the order they are delivered: by kind, then as written."""
        kinds = list(KINDS)
        return sorted(self.streams, key=lambda stream: kinds.index(stream.record))
