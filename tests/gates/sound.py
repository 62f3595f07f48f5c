"""Forty and more exports that look odd and are right, and those wrong ones that no limit can tell from them."""

import io
from dataclasses import replace
from datetime import timedelta
from functools import partial

import gate_shop as shop
import pyarrow as pa
import pyarrow.parquet as pq
from broken import IN_CENTS, accounts, people, scores, subscriptions, usage
from changes import (
    all_but_every,
    always,
    each,
    every,
    first,
    more,
    recoded,
    some,
    where,
    with_column,
    without,
)
from gate_nights import Case, named

PARTNERS = """
  - name: partners
    record: company
    source: {type: csv, path: accounts.csv}
    fields: {companyId: account_id, attributes: {partner: {value: true}}}
"""


def rewritten(change, **options):
    """Read a Parquet file, and write it in another way."""

    def rewrite(content):
        found = io.BytesIO()
        pq.write_table(change(pq.read_table(io.BytesIO(content))), found, **options)
        return found.getvalue()

    return rewrite


def with_types(**types):
    """Give columns of a table other types."""

    def cast(table):
        for name, kind in types.items():
            column = table[name].dictionary_encode() if kind == "dictionary" else table[name].cast(kind)
            table = table.set_column(table.schema.get_field_index(name), name, column)
        return table

    return cast


def quoted(content):
    """Put every field in quotes that has a value."""
    lines = content.decode().splitlines()
    return "".join(
        ",".join(f'"{field}"' if field else "" for field in line.split(",")) + "\n" for line in lines
    ).encode()


visitors = partial(Case, stream="visitors", table="visits")
NEW_COMPANY = "9{:04}".format
MONTHS_END = more(0.4, "account_id", NEW_COMPANY)
LATE = shop.text(shop.as_of(2) - timedelta(hours=25))
SUNDAY = usage("a quiet Sunday", rows=lambda _: shop.usage(2, count=24))


def is_german(row):
    """Whether a company is in Germany."""
    return row["country"] == "DE"


def accepted(case):
    """Return a night that was refused, and then accepted."""
    return replace(case, words=("--accept-changes",))


def after(case):
    """Return what is to be after a night: the same exports, once more."""
    return replace(case, words=(), after=[case])


SOUND = [
    # CSV, and the company's "*"
    accounts("it is an ordinary night"),
    accounts("it is the first night ever", pipeline=named("shop", "a_new_shop")),
    accounts("it is loaded a second time", after=[accounts("the first time")]),
    accounts("there are 20 % more", rows=more(0.2, "account_id", NEW_COMPANY)),
    accounts("it is a month's end, with 40 % more", rows=MONTHS_END),
    accounts("3 % are gone", rows=all_but_every(33)),
    accounts("rows are in another order", rows=lambda rows: rows[::-1]),
    accounts("columns are in another order", rows=lambda rows: [dict(sorted(row.items())) for row in rows]),
    accounts("a few rows more have no seats", rows=some(50, seats=None)),
    accounts("prices of one country have changed", rows=where(is_german, mrr="200.00")),
    accounts("nothing happened for 25 hours", rows=each("updated_at", lambda at: min(at, LATE))),
    accounts("a new column has values in a few rows",
             rows=with_column("vip", lambda number: None if number % 10 else "gold")),
    accounts("a column that few rows have is gone, and `columns:` only warns", rows=without("phone")),
    accounts("the file begins with the mark of UTF-8", content=recoded("utf-8-sig")),
    accounts("lines end as on Windows", content=lambda file: file.replace(b"\n", b"\r\n")),
    accounts("every value is in quotes", content=quoted),
    accounts("three rows are bad", rows=some(200, mrr="n/a"), rejects=True),
    accounts("a few are there twice", rows=lambda rows: rows + rows[::30]),
    accounts("all are sent again, with --full", words=("--full",)),
    accounts("ten rows are tried, with --limit", words=("--limit", "10")),
    accounts("ten rows were tried before, with --limit", after=[accounts("a trial", words=("--limit", "10"))]),
    accounts("there are 40 % more for the second time", rows=more(0.9, "account_id", NEW_COMPANY), after=[
        accounts("for the first time, with bad rows", rows=lambda rows: some(200, mrr="n/a")(MONTHS_END(rows)))]),
    accounts("the night before was refused", after=[accounts("half", rows=every(2))]),
    after(accepted(accounts("prices in cents were accepted the night before", rows=IN_CENTS))),
    # Parquet, with `columns: stop`
    people("a tenth was promoted", rows=some(10, role="owner")),
    people("a fifth is gone for the second time, and nothing is sent", rows=first(0.64), after=[
        people("whole"), people("a fifth is gone", rows=first(0.8))]),
    people("the stream has a new name", stream="persons", pipeline=named("people", "persons")),
    accounts("nobody is there yet, on the stream's first night", stream="partners", table="accounts", rows=first(0),
             pipeline=lambda text: text + PARTNERS),
    people("the stream is new in a known pipeline", stream="partners", pipeline=lambda text: text + PARTNERS),
    people("the same values have other types", content=rewritten(with_types(
        person_id=pa.large_string(), role="dictionary", logins=pa.float64()))),
    after(accepted(people("half were accepted the night before", rows=every(2)))),
    after(accepted(people("that a column went was accepted the night before", rows=without("beta")))),
    # a database
    subscriptions("there is a new column, which no field uses", rows=with_column("note", lambda _: "new")),
    subscriptions("ids have become floats", rows=each("customer", float)),
    subscriptions("prices have become texts", rows=each("price", "{:.2f}".format)),
    visitors("nobody has come since the cursor", rows=first(0.5)),
    visitors("more have come since the cursor than all nights before", rows=more(5, "person_id", "v{}".format)),
    # events
    SUNDAY,
    usage("it is the Monday after a quiet Sunday", after=[SUNDAY]),
    usage("it is five times as much as the day before", rows=lambda _: shop.usage(2, count=1500)),
    usage("yesterday's events are there again", rows=lambda rows: shop.usage(1) + rows),
    usage("some events are late", rows=lambda rows: rows + shop.usage(-3, count=20)),
    usage("a few events belong to no company", rows=some(30, account_id=None)),
    usage("events tell more since today", rows=with_column("device", lambda _: "phone")),
    usage("no new file has come", stream="clicks", table="clicks", rows=first(0)),
    # a DataFrame
    scores("types are nullable, and the index is shuffled",
           content=lambda frame: frame.convert_dtypes().sort_values("health")),
]  # fmt: skip

UNCAUGHT = [
    people("ids have another form, and no `on_removed:` looks for the old ones", rows=each("person_id", "P-{}".format)),
    people("a fifth is gone, and no `on_removed:` looks for them", rows=all_but_every(5)),
    usage("half of the events of every hour are missing", rows=every(2)),
    usage("yesterday's events are there again, under new ids", rows=lambda rows: rows + [
        row | {"usage_id": f"again{number}"} for number, row in enumerate(shop.usage(1))]),
    accounts("letters are garbled in a tenth of the names",
             content=lambda file: file.decode("cp1252").encode()),
    accounts("prices of one country are wrong", rows=where(is_german, mrr="1.00")),
    accounts("the plan of all new companies is wrong", rows=lambda rows: rows[:404] + always("plan", "x")(rows[404:])),
    accounts("prices are in cents, in a run with --full", rows=IN_CENTS, words=("--full",)),
    accounts("prices are in cents since the first night", rows=IN_CENTS, pipeline=named("shop", "a_new_shop")),
]  # fmt: skip
