"""One call of the management API: what it asks, and the way to refuse it."""

import copy
from collections.abc import Callable
from typing import NamedTuple, TypeAlias, TypeVar

import msgspec
from msgspec import UNSET, Struct

from bucket_loader.emulator.environment import Environment
from bucket_loader.emulator.management import shapes
from bucket_loader.emulator.management.definitions import Flag, identifier
from bucket_loader.emulator.store import wire
from bucket_loader.model import UsageError, json_mistake

_T = TypeVar("_T")


class RefusedError(Exception):
    """A call that is refused.

    Attributes:
        status: of the answer.
        refusal: its body.
    """

    def __init__(self, status: int, code: shapes.Code, message: str, issues: dict[str, str] | None = None) -> None:
        super().__init__(message)
        named = {field: [mistake] for field, mistake in (issues or {}).items()}
        self.status = status
        self.refusal = shapes.ManagementRefusal(shapes.Problem(code, message), named or UNSET)


class Asked(NamedTuple):
    """A call that came with the secret key.

    Attributes:
        environment: the one that the key opens.
        number: of the call.
        ids: what its path names, by the names in its row of the table.
        query: the query, decoded.
        body: what was sent.
    """

    environment: Environment
    number: int
    ids: dict[str, str]
    query: dict[str, str]
    body: bytes

    def read(self, shape: type[_T]) -> _T:
        """Return the body; an empty one asks nothing.

        Raises:
            RefusedError: it is not of this shape.
        """
        try:
            return msgspec.json.decode(wire.with_whole_texts(self.body) or b"{}", type=shape)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            field, _, mistake = json_mistake(error, "body").partition(": ")
            raise invalid(field, mistake) from error

    @property
    def version(self) -> int:
        """The version of the definitions."""
        return self.environment.definitions.flag_state_version or 0

    def flags(self) -> list[Flag]:
        """Return all definitions, as GET /features shows them; overrides are no business of this API."""
        return copy.deepcopy(self.environment.document["features"])

    def define(self, flags: list[Flag]) -> None:
        """Put other definitions in the place of all.

        Raises:
            RefusedError: they are malformed.
        """
        try:
            self.environment.redefine({**self.environment.document, "features": flags, "flagStateVersion": None})
        except UsageError as error:
            raise invalid("body", error.message) from error


Action: TypeAlias = Callable[[Asked], Struct]


def invalid(field: str, mistake: str) -> RefusedError:
    """Return the refusal of something that is wrong in itself."""
    return RefusedError(400, "invalid_request", "The request is invalid", {field: mistake})


def missing(what: str) -> RefusedError:
    """Return the refusal of something that is not there."""
    return RefusedError(404, "not_found", f"There is no such {what}")


def one_of(flags: list[Flag], naming: Callable[[Flag], str], wanted: str) -> Flag:
    """Return the flag that is called so.

    Raises:
        RefusedError: there is none.
    """
    found = next((flag for flag in flags if naming(flag) == wanted), None)
    if found is None:
        raise missing("flag")
    return found


def app_id(environment: Environment) -> str:
    """Return the id of the app that an environment belongs to; it is the app's only one."""
    return identifier("ap", environment.name)


def env_id(environment: Environment) -> str:
    """Return the id of an environment."""
    return identifier("en", environment.name)
