"""Which company each user belongs to: a stream of its own, since a user's record in Bucket has no company."""

from collections.abc import Iterator
from typing import Final

from bucket_loader.model import COMPANY
from bucket_loader.runs.init.evidence import Column, Sample
from bucket_loader.runs.init.guessed import GuessedStream
from bucket_loader.runs.init.ids import id_field, of_an_id
from bucket_loader.runs.init.roles import holds_ids, is_one_for_all, named, names

# What is plainly the id of a company: of a team or a group it may be one of the seller's.
_COMPANY: Final = "(company|account|org|organi[sz]ation|workspace|tenant)"
_PLAINLY: Final = names(
    f"""
    {_COMPANY}_external_?id external_{_COMPANY}_?id
    ((primary|default|current|associated|primary_associated)_)?{_COMPANY}_?(uu|gu)?ids? {_COMPANY}_(key|code)
    """
)
_LISTS: Final = r"[^;,|]+(?:[;,|]\s*[^;,|]+)+"


def membership(users: GuessedStream, sample: Sample) -> Iterator[GuessedStream]:
    """Return the stream that says which company each user belongs to, where a column plainly holds its id.

    Args:
        users: the stream of the users.
        sample: its rows.
    """
    taken = {field.column for field in users.fields}
    found = (column for column in named(sample.columns, _PLAINLY) if column.name not in taken and _is_one_id(column))
    column = next(found, None)
    if column is None or users.missing:
        return
    reason = f"a user's record has no company: each row also says which one, in {column.name!r}"
    company = id_field("companyId", column, "it is called so, and its values are ids")
    where = [*users.where, *of_an_id(column, sample.rows, always=False)]
    yield GuessedStream(f"{users.name}-companies", COMPANY, reason, [company, *users.fields], where=where)


def _is_one_id(column: Column) -> bool:
    return holds_ids(column) and not column.count(_LISTS) and not is_one_for_all(column)
