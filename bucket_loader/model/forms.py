"""The version of the form that a source gives a column's values in, where it gave them in another one before."""

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import pyarrow as pa

_MARK: Final = b"bucket_loader.form"


def in_form(field: "pa.Field", version: int) -> "pa.Field":
    """Return a column's field with the version since which its values are read in another way."""
    return field.with_metadata({_MARK: str(version).encode()})


def form_of(field: "pa.Field | None") -> int:
    """Return the version of a column's form; 1 where it never changed."""
    return int((field.metadata or {}).get(_MARK, 1)) if field is not None else 1
