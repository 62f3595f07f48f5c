"""Secrets of sources: only by reference in the file, and in no message."""

import sqlite3
from contextlib import closing

import pytest

SECRET = "gehe1m-zYx"  # noqa: S105  # looked for wherever it has no business
STREAM = """
- name: companies
  record: company
  source: {source}
  fields: {{companyId: id}}
"""
URLS = [
    "sqlite:///app.db?password={}",
    "sqlite:///missing.db?mode=ro&password={}",
    "sqlite:////nowhere/app.db?password={}#x",
    "sqlite://loader:{}@host/app.db",
    "sqlite://?password={}",
    "duckdb:///app.duckdb?password={}",
    "duckdb:///missing.duckdb?motherduck_token={}",
    "duckdb://{}",
    "sqlite+pysqlite:///app.db?password={}",
    "mssql+pyodbc://127.0.0.1:1/db?driver=None&password={}",
    "mssql+pyodbc:///?odbc_connect=DRIVER%3Dx%3BPWD%3D{}",
    "nosuch://127.0.0.1:1/db?password={}",
    "oracle+nosuch://127.0.0.1:1/db?pwd={}",
    "postgresql://127.0.0.1:1/db?password={}",
    "postgresql://127.0.0.1:1/db?password={}&nosuch=1",
    "mysql://127.0.0.1:1/db?password={}",
    "mysql://127.0.0.1:1/db?passwd={}&ssl_mode=nosuch",
]


@pytest.mark.parametrize(("command", "url"), [*(("run", url) for url in URLS), ("check", URLS[0]), ("check", URLS[-2])])
def test_a_password_among_a_urls_options_is_in_no_message(workplace, command, url):
    """Whatever is wrong with the URL, the file or the server, nobody sees it; also where it is no option at all."""
    with closing(sqlite3.connect(workplace.folder / "app.db")) as database:
        database.execute("CREATE TABLE t (id text)")
    workplace.pipeline(STREAM.format(source="{type: sql, url: '${WAREHOUSE}', table: nosuch}"))

    result = workplace.command(command, WAREHOUSE=url.format(SECRET))

    assert result.exit_code in {2, 75}, result.stderr
    assert "error" in result.stderr
    assert SECRET not in f"{result.stdout}{result.stderr}{result.exception!r}"


ICEBERG = "{{type: iceberg, table: a.b, catalog: {{type: rest, uri: 'http://127.0.0.1:9', {name}: {value}}}}}"


NAMES = ("credential", "s3.secret-access-key", "s3.session-token", "adls.account-key", "adls.connection-string",
         "header.Authorization")  # fmt: skip
VALUES = (SECRET, f"'${{TOKEN:-{SECRET}}}'", f"'id:{SECRET}'", f"'${{TOKEN}}{SECRET}'")


@pytest.mark.parametrize(
    ("name", "value"), [*(("token", value) for value in VALUES), *((name, SECRET) for name in NAMES)]
)
def test_a_secret_of_a_catalog_that_is_written_in_the_file_is_refused(workplace, name, value):
    """It is named with its place and what to write instead, and not shown."""
    workplace.pipeline(STREAM.format(source=ICEBERG.format(name=name, value=value)))

    result = workplace.run(TOKEN="unused")

    assert (result.exit_code, f"the {name} is written in the file" in result.stderr) == (2, True)
    assert "pipeline.yaml:9" in result.stderr
    assert SECRET not in result.stdout + result.stderr


@pytest.mark.parametrize(
    "name", ["token", "s3.secret-access-key", "s3.access-key-id", "warehouse", "oauth2-server-uri"]
)
def test_what_a_catalog_takes_by_reference(workplace, name):
    """A reference is taken, of a secret and of anything else, and its value is in no message."""
    workplace.pipeline(STREAM.format(source=ICEBERG.format(name=name, value="'${TOKEN}'")))

    result = workplace.run(TOKEN=SECRET)

    assert "written in the file" not in result.stderr
    assert (result.exit_code, SECRET in result.stdout + result.stderr) == (75, False)


def test_what_is_no_secret_of_a_catalog_may_be_written(workplace):
    """Ids, regions and addresses stand in the file."""
    workplace.pipeline(STREAM.format(source=ICEBERG.format(name="s3.access-key-id", value="AKIA, s3.region: x")))

    assert "written in the file" not in workplace.run().stderr


def test_a_catalogs_secret_that_is_not_set(workplace):
    """The variable is named, and no default is proposed for a secret."""
    workplace.pipeline(STREAM.format(source=ICEBERG.format(name="token", value="'${NOT_SET_HERE}'")))

    result = workplace.run()

    assert (result.exit_code, "NOT_SET_HERE is not set" in result.stderr, ":-" in result.stderr) == (2, True, False)
