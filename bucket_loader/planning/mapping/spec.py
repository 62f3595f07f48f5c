"""What a mapping is compiled from: a stream's words, a source's columns, the run's time, and the API."""

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

import pyarrow as pa

from bucket_loader.config import Stream, with_parameter_style
from bucket_loader.model import Api, FieldRule, contract
from bucket_loader.planning.mapping.asked import NOTHING_ASKED, Asked
from bucket_loader.planning.mapping.nested.lists import FLATTENED, Arrays
from bucket_loader.planning.mapping.paths import Path


@dataclass(frozen=True)
class MappingSpec:
    """What a mapping is compiled from.

    Attributes:
        stream: what the pipeline file says.
        source: the source's columns.
        as_of: the run's time.
        api: the one that the records are for.
        paths: the columns inside of them that the stream names.
        hashed: whether a stream that remembers nothing has to hash its records as well.
        arrays: how lists are sent.
        asked: what limits ask of the rows.
    """

    stream: Stream
    source: pa.Schema
    as_of: datetime
    api: Api
    paths: tuple[Path, ...] = ()
    hashed: bool = False
    arrays: Arrays = FLATTENED
    asked: Asked = NOTHING_ASKED

    @cached_property
    def schema(self) -> pa.Schema:
        """The source's columns, and after them those inside of them."""
        return pa.schema([*self.source, *(pa.field(path.name, path.type) for path in self.paths)])

    def is_whole(self, name: str) -> bool:
        """Whether the objects of a field stay objects; those of attributes have dotted names."""
        return self.arrays.keep and name == "evalContext"

    @cached_property
    def rules(self) -> dict[str, FieldRule]:
        """What the contract says of each field."""
        return contract.rules(self.stream.record, self.api)

    @property
    def where(self) -> str | None:
        """The condition that rows are filtered by."""
        return None if self.stream.where is None else self.bound(self.stream.where)

    def bound(self, text: str) -> str:
        """Return an expression with the run's time in it."""
        return with_parameter_style(text, f"TIMESTAMPTZ '{self.as_of:%Y-%m-%d %H:%M:%S.%f}+00'")
