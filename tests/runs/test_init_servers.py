"""`init` of a database that is a server: its tables become streams, and its password stays out of the file."""

from pathlib import Path

import pytest
from click.testing import CliRunner
from servers import PASSWORD, in_mariadb, in_postgres, mariadb_url, postgres_url

from bucket_loader.cli.commands import main

TABLES = [
    "CREATE TABLE shop_users (id varchar(20), email varchar(40), plan varchar(20))",
    "CREATE TABLE shop_invoices (id varchar(20), amount int)",
    "CREATE VIEW shop_pro AS SELECT * FROM shop_users",
    *(f"INSERT INTO shop_users VALUES ('u{n}', 'u{n}@x.org', 'pro')" for n in range(9)),
    "INSERT INTO shop_invoices VALUES ('i1', 1), ('i2', 2)",
]
DROPS = ["DROP VIEW shop_pro", "DROP TABLE shop_users", "DROP TABLE shop_invoices"]


@pytest.mark.parametrize(
    ("run", "url"),
    [
        pytest.param(in_postgres, postgres_url, marks=pytest.mark.postgres),
        pytest.param(in_mariadb, mariadb_url, marks=pytest.mark.mariadb),
    ],
)
def test_the_tables_of_a_server_are_streams(run, url, tmp_path, monkeypatch):
    """Its tables are listed and tried with the real password; the file refers to a variable, and rehearses with it."""
    monkeypatch.chdir(tmp_path)
    run(*TABLES)
    try:
        made = CliRunner().invoke(main, ["init", url(), "-o", "shop.yaml"])
        text = Path("shop.yaml").read_text("utf-8") if made.exit_code == 0 else ""
        rehearsed = CliRunner().invoke(main, ["rehearse", "shop.yaml"], env={"DATABASE_URL": url()})
    finally:
        run(*DROPS)

    assert made.exit_code == 0, made.output
    assert PASSWORD not in text + made.output
    assert 'url: "${DATABASE_URL}", table: shop_users' in text
    assert text.count("export DATABASE_URL") == 1
    assert "were not looked at: " in text
    assert "#   shop_invoices (2 rows, 2 columns)" in text
    assert rehearsed.exit_code == 0, rehearsed.output
    assert "9 users" in rehearsed.output


@pytest.mark.postgres
def test_a_schema_whose_name_has_a_dot_and_one_of_a_state(tmp_path, monkeypatch):
    """The first is quoted, and read; the second is this program's own, and no export."""
    monkeypatch.chdir(tmp_path)
    schemas = ('"crm.eu"', '"bucket_loader@shop@production@127.0.0.1_1"')
    for schema in schemas:
        in_postgres(
            f"CREATE SCHEMA {schema}",
            f'CREATE TABLE {schema}."the.users" (id varchar(20), email varchar(40), plan varchar(20))',
            *(f"""INSERT INTO {schema}."the.users" VALUES ('u{n}', 'u{n}@x.org', 'pro')""" for n in range(9)),
        )
    try:
        made = CliRunner().invoke(main, ["init", postgres_url(), "-o", "shop.yaml"])
        text = Path("shop.yaml").read_text("utf-8") if made.exit_code == 0 else ""
        rehearsed = CliRunner().invoke(main, ["rehearse", "shop.yaml"], env={"DATABASE_URL": postgres_url()})
    finally:
        in_postgres(*(f"DROP SCHEMA {schema} CASCADE" for schema in schemas))

    assert made.exit_code == 0, made.output
    assert 'table: "\\"crm.eu\\".\\"the.users\\""' in text
    assert "bucket_loader@" not in text + made.output
    assert rehearsed.exit_code == 0, rehearsed.output
