"""A shop that exports every night: what its tables hold on a day, and how each export is written.

All is counted from the day and a row's number, so two exports differ by nothing but their days. Each night a twelfth of
the accounts and a quarter of the people have changed, four rows are new, and none is gone. Every text begins with MARK,
so that a test can tell when a message shows a value.
"""

import csv
import io
import json
import sqlite3
from datetime import UTC, datetime, timedelta

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

MARK = "Zq"
FIRST = datetime(2026, 3, 1, tzinfo=UTC)
PRICES = {"free": "0.00", "team": "149.50", "business": "899.00"}
PLANS = ["free"] * 6 + ["team"] * 9 + ["business"] * 5
COUNTRIES = ["DK"] * 8 + ["SE"] * 5 + ["US"] * 4 + ["DE"] * 3


def as_of(day):
    """Return when the run of a day begins: at two in the morning, after the exports."""
    return FIRST + timedelta(days=day, hours=2)


def text(moment):
    """Write a time as an export does."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def changed(number, day, *, every):
    """Return when a row has changed last, seen from a day: each row changes on one day of `every`."""
    age = (day - 1 + number) % every
    return FIRST + timedelta(days=day - 1 - age, hours=number // every % 24, minutes=number * 7 % 60)


def accounts(day):
    """Return the companies of the CRM."""
    return [account(number, day) for number in range(400 + 4 * day)]


def account(number, day):
    """Return one company."""
    plan = PLANS[number % 20]
    return {
        "account_id": f"{number + 1:05}",
        "name": f"{MARK} {'Bjørn' if number % 10 == 5 else 'Company'} {number * 7919 % 1000} Inc",
        "plan": plan,
        "seats": None if number % 50 == 7 else str(3 + number % 40 + (day - 1 + number) // 12),
        "mrr": PRICES[plan],
        "country": COUNTRIES[number * 3 % 20],
        "trial": "true" if number % 6 == 0 else "false",
        "phone": f"+45 {number:08}" if number % 10 == 3 else None,
        "signed_up": f"{2019 + number % 7}-{1 + number % 12:02}-{1 + number % 28:02}",
        "updated_at": text(changed(number, day, every=12)),
    }


def people(day):
    """Return the users of the product."""
    return [person(number, day) for number in range(400 + 4 * day)]


def person(number, day):
    """Return one user."""
    return {
        "person_id": f"u{number + 1:06}",
        "account_id": f"{number % 400 + 1:05}",
        "email": f"{MARK}{number}@example.com",
        "role": f"{MARK} {('reader', 'editor', 'admin')[number % 3]}",
        "logins": number % 90 + (day - 1 + number) // 4,
        "beta": True if number % 10 == 3 else None,
        "updated_at": changed(number, day, every=4),
    }


def subscriptions(day):
    """Return what the companies pay for, from the billing system."""
    return [subscription(number, day) for number in range(200 + 4 * day)]


def subscription(number, day):
    """Return what one company pays for."""
    tier = PLANS[number % 20]
    return {
        "customer": number + 1,
        "tier": f"{MARK} {tier}",
        "price": float(PRICES[tier]),
        "renews": str((changed(number, day, every=30) + timedelta(days=30)).date()),
        "synced_at": text(as_of(day) - timedelta(hours=3)),
    }


def usage(day, count=300):
    """Return what people did on the day before: the oldest event first, the newest shortly before midnight."""
    return [event(number, day, 1439 * number // count) for number in range(count)]


def event(number, day, minute):
    """Return one thing that somebody did."""
    return {
        "usage_id": f"e{day}-{number}",
        "person_id": f"u{number * 11 % 400 + 1:06}",
        "account_id": f"{number * 11 % 400 + 1:05}",
        "feature": f"{MARK} {('export', 'search', 'share')[number % 3]}",
        "seconds": number % 40,
        "at": text(FIRST + timedelta(days=day - 1, minutes=minute)),
    }


def visits(day):
    """Return who was on the site, all days together."""
    days = range(day)
    return [
        {
            "person_id": f"u{number + 1:06}",
            "page": f"{MARK} home",
            "at": text(FIRST + timedelta(days=one, minutes=number)),
        }
        for one in days
        for number in range(40)
    ]


def clicks(day):
    """Return what was clicked on the day before: a file of its own each day."""
    return [{"click_id": f"c{day}", "person_id": "u000001", "at": text(FIRST + timedelta(days=day - 1))}]


def scores(day):
    """Return how healthy the companies are, as a notebook computes it."""
    return [score(number, day) for number in range(250 + 2 * day)]


def score(number, day):
    """Return how healthy one company is."""
    return {
        "account_id": number + 1,
        "health": round((number * 37 % 100 + (day - 1 + number) // 3) / 100, 2),
        "segment": f"{MARK} {('small', 'large')[number % 2]}",
        "scored_at": pd.Timestamp(as_of(day) - timedelta(hours=3)),
    }


TABLES = {
    "accounts": accounts, "people": people, "subscriptions": subscriptions, "visits": visits, "usage": usage,
    "clicks": clicks, "scores": scores,
}  # fmt: skip
COLUMNS = {name: list(table(1)[0]) for name, table in TABLES.items()}


# --- how each is written -------------------------------------------------------------------------------------------


def csv_of(rows, columns, delimiter=","):
    """Write CSV: null is an empty field."""
    found = io.StringIO()
    writer = csv.DictWriter(found, columns, delimiter=delimiter, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return found.getvalue().encode()


def jsonl_of(rows):
    """Write JSON Lines."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def parquet_of(rows, columns):
    """Write Parquet, with the types of the values."""
    found = io.BytesIO()
    table = pa.Table.from_pylist(rows) if rows else pa.table({column: pa.array([], pa.string()) for column in columns})
    pq.write_table(table, found)
    return found.getvalue()


def fill(database, table, rows, columns):
    """Write a table of SQLite anew; it takes the types of the values."""
    with sqlite3.connect(database) as connection:
        connection.execute(f"drop table if exists {table}")
        connection.execute(f"create table {table} ({', '.join(columns)})")
        connection.executemany(
            f"insert into {table} values ({', '.join('?' * len(columns))})",
            [[row.get(column) for column in columns] for row in rows],
        )
    connection.close()
