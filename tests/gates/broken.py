"""Exports that went wrong: each can be read, or nearly, and nobody wants it to be sent. Each names its gate."""

from functools import partial

import gate_shop as shop
from changes import (
    always,
    cut,
    cut_at_row,
    each,
    emptied,
    every,
    first,
    more,
    only,
    renamed,
    second_half,
    shifted,
    some,
    swapped,
    times,
    where,
    with_column,
    without,
)
from gate_nights import READING, Case, named, without_limits

accounts, people, subscriptions, usage, scores = (
    partial(Case, stream=stream) for stream in ("accounts", "people", "subscriptions", "usage", "scores")
)
IN_CENTS = each("mrr", lambda price: str(int(float(price) * 100)))
FROM_A_SPREADSHEET = each("account_id", lambda one: f"{int(one):.1E}")


def in_another_encoding(line):
    """Write one line as Windows does."""
    return line.decode().encode("cp1252")


def invoices(_):
    """Return the rows of another table."""
    return [{"invoice": number, "total": 1} for number in range(400)]


def test_data(rows):
    """Return what a developer exports."""
    return [row | {"account_id": f"test-{number}"} for number, row in enumerate(rows[:120])]


def is_big(row):
    """Whether a company has the plan of big ones."""
    return row["plan"] == "business"


def all_null_texts(rows):
    """Write NULL as a text, everywhere."""
    return [dict.fromkeys(row, "NULL") for row in rows]


BROKEN = [
    # CSV, and the company's "*"
    accounts("the file has no bytes", content=lambda _: b"", gate=READING),
    accounts("there is only the header", rows=first(0), gate="empty|rows|removed"),
    accounts("half of the rows are there", rows=every(2), gate="rows"),
    accounts("every row is there twice", rows=times(2), gate="rows|superseded"),
    accounts("every company is there under a second id", rows=more(1, "account_id", "9{:04}".format), gate="rows"),
    accounts("it is last week's file", rows=lambda _: shop.accounts(-5), gate="fresh"),
    accounts("it is yesterday's file", rows=lambda _: shop.accounts(1), gate="fresh"),
    accounts("it is last week's file, and one row is of the year 2099", gate="fresh",
             rows=lambda _: [*shop.accounts(-5), shop.account(900, -5) | {"updated_at": "2099-01-01T00:00:00Z"}]),
    accounts("all ids moved down by one row", rows=shifted("account_id"), gate="changed"),
    accounts("ids have another form", rows=each("account_id", "ACC-{}".format), gate="removed"),
    accounts("ids have lost their zeros", rows=each("account_id", lambda one: one.lstrip("0")), gate="removed"),
    accounts("ids are as a spreadsheet shows them, 4.0E+02", rows=FROM_A_SPREADSHEET, gate="superseded|removed"),
    accounts("no row has seats", rows=emptied("seats"), gate="null|changed"),
    accounts("a tenth of the rows has lost its seats", rows=some(10, seats=None), gate="null"),
    accounts("a join lost the name of one plan", rows=where(is_big, plan=None), gate="null"),
    accounts("the column of seats has another name", rows=renamed("seats", "seat_count"), gate=READING),
    accounts("a column of `*` is gone", rows=without("country"), gate="changed|columns"),
    accounts("names and plans are swapped", rows=swapped("name", "plan"), gate="changed"),
    accounts("half of the file is in another encoding", content=second_half(in_another_encoding), gate="rejected"),
    accounts("it is the table of invoices", rows=invoices, gate=READING),
    accounts("it ends after 90 %, at the end of a row", content=cut_at_row(0.9), gate="removed"),
    accounts("it ends after 60 %, within a row", content=cut(0.6), gate="rows|removed"),
    accounts("one row is there a thousand times", rows=lambda rows: rows + rows[:1] * 1000, gate="rows|superseded"),
    accounts("every value is the text NULL", rows=all_null_texts, gate="rejected"),
    accounts("there is only test data", rows=test_data, gate="rows|removed"),
    accounts("everybody has signed up in 2099", rows=always("signed_up", "2099-01-01"), gate="changed"),
    accounts("prices have decimal commas", rows=each("mrr", lambda price: price.replace(".", ",")), gate="rejected"),
    accounts("prices are in cents", rows=IN_CENTS, gate="changed"),
    accounts("it is a sample of every fourth row", rows=every(4), gate="rows|removed"),
    accounts("there are only Danes", rows=only(lambda row: row["country"] == "DK"), gate="rows|removed"),
    accounts("a join lost the Germans", rows=only(lambda row: row["country"] != "DE"), gate="removed"),
    accounts("a join made two rows of every tenth", rows=lambda rows: rows + rows[::10], gate="superseded"),
    accounts("every plan is `free`", rows=always("plan", "free"), gate="changed"),
    accounts("all names are in lower case", rows=each("name", str.lower), gate="changed"),
    accounts("the file is there twice, with a second header", content=lambda file: file + b"\xef\xbb\xbf" + file,
             gate="rows|superseded"),
    accounts("half of the rows have another delimiter", content=second_half(lambda line: line.replace(b",", b";")),
             gate="rejected"),
    accounts("a quote is never closed", content=lambda file: file + b'"00001,x', gate=READING),
    accounts("it is a sample, on the first night ever", rows=first(0.1), pipeline=named("shop", "new"), gate="rows"),
    accounts("all the world is there, on the first night ever", rows=more(2, "account_id", "9{:04}".format),
             pipeline=named("shop", "new"), gate="rows"),
    # Parquet, with `columns: stop`
    people("nobody is there, and nobody has written `limits:`", rows=first(0), pipeline=without_limits, gate="empty"),
    people("a fifth of the file has arrived", content=lambda file: file[: len(file) // 5], gate=READING),
    people("a tenth has lost the address", rows=some(10, email=None), gate="null"),
    people("a column that few rows have is gone", rows=without("beta"), gate="columns"),
    people("a column with a limit for nulls is gone", rows=without("email"), gate="null|columns|changed"),
    people("pandas has written its index", rows=with_column("__index_level_0__", int), gate="columns"),
    people("an empty column of somebody's attempts is there", rows=with_column("tmp", lambda _: None), gate="columns"),
    # a database
    subscriptions("the table is empty, and nobody has written `limits:`", rows=first(0), pipeline=without_limits,
                  gate="empty"),
    subscriptions("there are only those who pay", rows=only(lambda row: row["price"] > 0), gate="rows"),
    subscriptions("it was not synced for a week", rows=lambda _: shop.subscriptions(-5), gate="fresh"),
    subscriptions("every time is next week's", rows=always("synced_at", "2026-03-10T00:00:00Z"), gate="fresh"),
    subscriptions("prices are texts with a currency", rows=each("price", "{} EUR".format), gate="rejected"),
    # events
    usage("it ends at noon", rows=first(0.5), gate="fresh"),
    usage("it is yesterday's", rows=lambda _: shop.usage(1), gate="fresh"),
    usage("the file has no row", rows=first(0), gate=READING),
    usage("a loop in the product sent 7,000 events", rows=lambda _: shop.usage(2, count=7_000), gate="rows"),
    usage("a join found no users", rows=emptied("person_id"), gate="rejected"),
    usage("a join found no companies", rows=emptied("account_id"), gate="null"),
    usage("a join made five rows of each", rows=times(5), gate="superseded"),
    usage("every event is in 1970", rows=always("at", "1970-01-01T00:00:00Z"), gate="rejected|fresh"),
    usage("every event is in 2099", rows=always("at", "2099-01-01T00:00:00Z"), gate="rejected|fresh"),
    # a DataFrame
    scores("the frame is empty", rows=first(0), gate="empty|rows"),
    scores("an inner merge lost the small ones", rows=every(2), gate="rows"),
    scores("the cell was not run again", rows=lambda _: shop.scores(1), gate="fresh"),
    scores("scores are in per cent", rows=each("health", lambda one: one * 100), gate="changed"),
]  # fmt: skip
