"""Rows that only Spark can reach: what the pipeline file says of them."""

from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from bucket_loader.config.source_base import SourceSpec
from bucket_loader.config.sql_text import known_parameters

OrderBy = list[Annotated[str, Field(min_length=1)]]


class SparkSource(SourceSpec):
    """A table, a view or a query of Spark."""

    type: Literal["spark"]
    table: str | None = Field(default=None, min_length=1, description="its name, with its catalog and schema if needed")
    query: Annotated[str, Field(min_length=1)] | None = Field(default=None, description="in Spark's SQL")
    order_by: OrderBy = Field(
        default=[], description="the columns by which a later row of a key is told: it wins over the earlier ones"
    )

    @model_validator(mode="after")
    def _table_or_query(self) -> Self:
        if (self.table is None) == (self.query is None):
            raise ValueError("needs either `table:` or `query:`")
        if self.query is not None:
            known_parameters(self.query, "backslash")
        return self


class SparkFrameSource(SourceSpec):
    """A DataFrame of Spark handed to `load()`; it cannot be written in a file."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)
    type: Literal["spark_frame"] = "spark_frame"
    frame: Any = Field(exclude=True)
    order_by: OrderBy = Field(default=[])
