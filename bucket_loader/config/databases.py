"""Rows of databases: the model of a table or a query, and that of a dbt model, which becomes one of them."""

import re
from typing import Annotated, Final, Literal, Self

from pydantic import Field, SecretStr, ValidationInfo, field_validator, model_validator

from bucket_loader.config.scalars import Model, PositiveDuration, Sql
from bucket_loader.config.source_base import SourceSpec
from bucket_loader.config.sql_text import SqlDialect, known_parameters, sql_dialect

_VERSIONED: Final = re.compile(r"(?P<name>.+)\.v(?P<version>\w+)")
THIS: Final = re.compile(r"\{\{\s*this\s*\}\}")


class DatabaseSource(SourceSpec):
    """What all sources that ask a database have beside its address."""

    user: SecretStr | None = None
    password: SecretStr | None = Field(default=None, description="only by reference, for example ${DB_PASSWORD}")
    statement_timeout: PositiveDuration | None = Field(
        default=None, description="how long the query may run, for example 30m; default: as the database says"
    )


class SqlSource(DatabaseSource):
    """A table or a query of a database."""

    type: Literal["sql"]
    url: SecretStr = Field(description="for example postgresql://host/database")
    query: Annotated[str, Field(min_length=1)] | None = None
    query_file: str | None = Field(default=None, min_length=1, description="a .sql file, relative to the pipeline file")
    table: str | None = Field(default=None, min_length=1, description="a table or view: name, or schema.name")

    @model_validator(mode="after")
    def _one_query(self) -> Self:
        if sum(given is not None for given in (self.query, self.query_file, self.table)) != 1:
            raise ValueError("needs either `query:`, `query_file:` or `table:`")
        return self

    @field_validator("query")
    @classmethod
    def _bound(cls, value: str | None, info: ValidationInfo) -> str | None:
        url = info.data.get("url")
        if value is not None and url is not None:
            known_parameters(value, sql_dialect(url.get_secret_value()))
        return value

    @property
    def dialect(self) -> SqlDialect:
        """How its SQL spells texts and comments."""
        return sql_dialect(self.url.get_secret_value())


class Require(Model):
    """What dbt must have done before a model is read."""

    run_results: str | None = Field(
        default=None, min_length=1, description="dbt's run_results.json; default: the one beside the manifest"
    )
    max_age: PositiveDuration | None = Field(
        default=None, description="how long ago dbt may have built the model, for example 6h; default: any time"
    )


class DbtSource(DatabaseSource):
    """A model, seed or snapshot of dbt: where it is comes from dbt's manifest, how to connect from its profiles.yml."""

    type: Literal["dbt"]
    model: str = Field(min_length=1, description="its name; name.v2 is one version of it")
    package: str | None = Field(default=None, min_length=1, description="needed where two packages have the name")
    version: int | str | None = Field(default=None, description="of a model with versions; default: the latest")
    project: str | None = Field(default=None, min_length=1, description="dbt's project folder, for example ../dbt")
    manifest: str | None = Field(
        default=None, min_length=1, description="dbt's manifest.json; default: target/manifest.json of the project"
    )
    url: SecretStr | None = Field(default=None, description="of the database, in place of a profile")
    profile: str | None = Field(
        default=None, min_length=1, description="of dbt's profiles.yml; default: what the project names"
    )
    target: str | None = Field(default=None, min_length=1, description="of the profile; default: the profile's own")
    query: Sql | None = Field(
        default=None, description="a query of the model, which it calls {{ this }}; default: all of it"
    )
    require: Require | None = Field(default=None, description="stop (4) unless dbt has built and tested the model")

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.project is None and self.manifest is None:
            raise ValueError("needs `project:`, the folder of dbt_project.yml, or `manifest:`, dbt's manifest.json")
        if self.url is not None and (self.profile is not None or self.target is not None):
            raise ValueError("`url:` and a profile of dbt both say how to connect; give one of them")
        if self.url is None and self.profile is None and self.project is None:
            raise ValueError("needs `url:`, or `profile:` of dbt's profiles.yml")
        if self.url is None and (self.user is not None or self.password is not None):
            raise ValueError("`user:` and `password:` go with `url:`; a profile has its own")
        return self

    @field_validator("query")
    @classmethod
    def _of_this(cls, value: str | None) -> str | None:
        if value is not None and (not THIS.search(value) or re.search(r"\{[{%]", THIS.sub("", value))):
            raise ValueError("must call the model {{ this }}, and holds no other Jinja")
        return value

    @property
    def ref(self) -> tuple[str, str | None]:
        """Its name and its version, as dbt's `ref` takes them: `plans.v2` is version 2 of `plans`."""
        match = _VERSIONED.fullmatch(self.model)
        if self.version is None and match is not None:
            return match["name"], match["version"]
        return self.model, None if self.version is None else str(self.version)

    def query_of(self, relation: str) -> str | None:
        """Return its query, with the relation in the place of `{{ this }}`; None where all of it is read."""
        return None if self.query is None else THIS.sub(lambda _: relation, self.query)
