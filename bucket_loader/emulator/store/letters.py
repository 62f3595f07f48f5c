"""What the loader itself rejected, as it hands it in: these rows were never sent, so no call tells of them."""

from collections.abc import Callable
from typing import Annotated, Any, Final, TypeAlias

import msgspec
from msgspec import Struct

LETTERS_MAX: Final = 1000  # as many as calls


class LetterReason(Struct):
    """One thing that is wrong with a row: what, and in which field of the record."""

    message: str
    field: str | None = None


class Letter(Struct):
    """One row that the loader rejected.

    Attributes:
        at: when.
        run: which run.
        stream: of the pipeline.
        source: the file or query that the row is from.
        place: where it is there, as a person finds it: `row 17`.
        reasons: what is wrong with it.
        row: its columns, as JSON.
    """

    at: str
    run: str
    stream: str
    source: str
    place: str
    reasons: list[LetterReason]
    row: str


class Letters(Struct):
    """The latest rejected rows, and how many there are in all."""

    rejected: Annotated[list[Letter], msgspec.Meta(max_length=LETTERS_MAX)] = []
    total: Annotated[int, msgspec.Meta(ge=0)] = 0


# Whoever starts an emulator in its own process may say where to look: the answer may be another one each time.
ReadLetters: TypeAlias = Callable[[], Any]


def no_letters() -> Any:  # noqa: ANN401  # JSON
    """Return that there are none."""
    return {}


def letters_of(document: Any) -> Letters:  # noqa: ANN401  # JSON
    """Read what was handed in.

    Raises:
        msgspec.ValidationError: it has another form.
    """
    return msgspec.convert(document, Letters)
