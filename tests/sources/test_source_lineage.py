"""What a source reads, by the names that other tools give to tables and files, and what a query's columns are of."""

import pytest
from pydantic import TypeAdapter

from bucket_loader.config import AnySource
from bucket_loader.sources import Around, Dataset, upstream_of

SECRET = "hunter2-hidden"  # noqa: S105  # the canary
SOURCES = TypeAdapter(AnySource)


def upstream(tmp_path, sources=None, **words):
    """Return what a source of these words reads."""
    named = {name: SOURCES.validate_python(spec) for name, spec in (sources or {}).items()}
    return upstream_of(SOURCES.validate_python(words), Around(tmp_path, named))


@pytest.mark.parametrize(
    ("url", "table", "namespace", "name"),
    [
        (f"postgresql://ann:{SECRET}@db.example/shop", "orders", "postgres://db.example:5432", "shop.public.orders"),
        (f"postgres://db.example:6000/s?password={SECRET}", "app.orders", "postgres://db.example:6000", "s.app.orders"),
        ("postgresql://db.example/shop", '"My Schema"."T.x"', "postgres://db.example:5432", "shop.My Schema.T.x"),
        ("redshift://etl.a.eu-west-1.redshift.amazonaws.com/dev", "o", "redshift://etl.eu-west-1:5439", "dev.public.o"),
        (f"mysql://ann:{SECRET}@db.example/shop", "orders", "mysql://db.example:3306", "shop.orders"),
        ("mariadb://db.example/shop", "other.orders", "mysql://db.example:3306", "other.orders"),
        (f"snowflake://ann:{SECRET}@acme-eu1/shop/app", "orders", "snowflake://acme-eu1", "SHOP.APP.ORDERS"),
        ("bigquery://project/dataset", "orders", "bigquery", "project.dataset.orders"),
        ("bigquery://project/dataset", "other.d.orders", "bigquery", "other.d.orders"),
        ("mssql+pyodbc://db.example/shop", "orders", "mssql://db.example:1433", "shop.dbo.orders"),
    ],
)  # fmt: skip
def test_a_table_has_the_name_that_its_own_tools_give_it(tmp_path, url, table, namespace, name):
    """By server, database, schema and table, as OpenLineage spells that kind; and no password."""
    found = upstream(tmp_path, type="sql", url=url, table=table)

    assert found.datasets == (Dataset(namespace, name),)
    assert found.columns_of("id")[0].column == "id"
    assert SECRET not in repr(found)


@pytest.mark.parametrize(
    ("words", "namespace", "name"),
    [
        ({"path": "s3://exports/day/accounts.csv"}, "s3://exports", "day/accounts.csv"),
        ({"path": "s3://exports/{interval_start:%Y}/accounts-*.csv"}, "s3://exports", "/"),
        ({"path": "gs://exports/accounts-*.csv.gz"}, "gs://exports", "/"),
        ({"path": "az://exports/a.csv", "storage": {"account": "acme"}},
         "abfss://exports@acme.dfs.core.windows.net", "a.csv"),
        ({"path": f"https://shop.example/a.csv?token={SECRET}"}, "https://shop.example", "/a.csv"),
        ({"path": "/srv/exports/../accounts.csv"}, "file", "/srv/accounts.csv"),
    ],
)  # fmt: skip
def test_a_file_is_named_by_its_store_and_path(tmp_path, words, namespace, name):
    """Without what may be a key in it; a pattern is the folder that it ranges over."""
    assert upstream(tmp_path, type="csv", **words).datasets == (Dataset(namespace, name),)


def test_files_of_databases_are_named_by_their_path(tmp_path):
    """As dbt names those of DuckDB."""
    duckdb = upstream(tmp_path, type="sql", url="duckdb:///dev.duckdb", table="accounts")
    sqlite = upstream(tmp_path, type="sql", url="sqlite:///app.db", table="accounts")

    assert duckdb.datasets == (Dataset(f"duckdb://{tmp_path}/dev.duckdb", "dev.main.accounts"),)
    assert sqlite.datasets == (Dataset(f"sqlite://{tmp_path}/app.db", "accounts"),)


def columns(found):
    """Return what each column of a query is made from, in short."""
    return {
        name: [f"{one.dataset.name.rpartition('.')[2]}.{one.column}" for one in made]
        for name, made in found.columns.items()
    }


def test_a_query_is_read_by_its_parse(tmp_path):
    """Through joins, subqueries and functions, with parameters in it; what it counts comes from no column.

    So it is when the query stands in a file.
    """
    sql = """
        with paying as (select account_id, lower(plan) as plan from app.accounts where plan <> 'free')
        select u.id, p.plan, u.seats + u.spare as room, count(*) as n
        from users u join paying p on p.account_id = u.account_id
        where u.at >= :interval_start group by all
    """

    found = upstream(tmp_path, type="sql", url="postgresql://db.example/shop", query=sql)

    assert {one.name for one in found.datasets} == {"shop.public.users", "shop.app.accounts"}
    assert columns(found) == {"id": ["users.id"], "plan": ["accounts.plan"], "room": ["users.seats", "users.spare"]}
    assert (found.is_whole, found.is_every_row) == (False, False)
    (tmp_path / "paying.sql").write_text(sql, "utf-8-sig")
    assert upstream(tmp_path, type="sql", url="postgresql://db.example/shop", query_file="paying.sql") == found


def test_all_columns_of_one_table_keep_their_names(tmp_path):
    """Those that a star spreads; over two tables nobody can tell whose they are."""
    one = upstream(
        tmp_path, type="sql", url="postgresql://h/d", query="select *, lower(mail) as m from users where id > 5"
    )
    two = upstream(tmp_path, type="sql", url="postgresql://h/d", query="select * from users join accounts using (id)")

    assert [made.column for made in one.columns_of("name")] == ["name"]
    assert [made.column for made in one.columns_of("m")] == ["mail"]
    assert two.columns_of("name") == ()


@pytest.mark.parametrize(
    "words", [{"query": f"selec '{SECRET}' ?? from"}, {"query": "-- no"}, {"query_file": "gone.sql"}]
)
def test_a_query_that_cannot_be_read_is_its_database_as_a_whole(tmp_path, words):
    """Less, and not wrong; its text is not told."""
    found = upstream(tmp_path, type="sql", url="postgresql://db.example/shop", **words)

    assert (found.datasets, found.columns_of("id")) == ((Dataset("postgres://db.example:5432", "shop"),), ())


def test_a_query_over_named_sources_leads_to_what_is_under_them(tmp_path):
    """A file, and a query of a database, each to its own columns."""
    sources = {
        "accounts": {"type": "csv", "path": "accounts.csv"},
        "owners": {"type": "sql", "url": "postgresql://h/d", "query": "select upper(mail) as owner, id from users"},
    }
    sql = "select a.name, o.owner from accounts a join Owners o on a.owner_id = o.id"

    found = upstream(tmp_path, sources, type="query", sql=sql)

    assert {one.namespace for one in found.datasets} == {"file", "postgres://h:5432"}
    assert [made.column for name in ("name", "owner") for made in found.columns_of(name)] == ["name", "mail"]
