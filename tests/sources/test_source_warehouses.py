"""Snowflake and BigQuery, against stand-ins of their drivers: what is asked of them, and what is made of the answers.

Neither can be run here. (Snowflake's driver was run by hand against fakesnow's server, whose dependencies fit in no
environment with ours; see docs/sources.md.)
"""

import datetime as dt
import sys
from contextlib import closing
from decimal import Decimal
from importlib.machinery import ModuleSpec
from types import ModuleType, SimpleNamespace

import pyarrow as pa
import pytest
from source_helpers import Read, sql_source

from bucket_loader.model.errors import SourceError, SourceUnavailableError

AT = dt.datetime(2026, 1, 2, tzinfo=dt.UTC)
ROWS = pa.table({"ID": pa.array([Decimal(2**60)], pa.decimal128(38, 0)), "NAME": ["x"]})


def stand_in(monkeypatch, name, **members):
    """Put a module in the place of one that is not installed, with the packages around it."""
    parts = name.split(".")
    for end in range(1, len(parts) + 1):
        module = ModuleType(".".join(parts[:end]))
        module.__spec__, module.__path__ = ModuleSpec(module.__name__, None), []
        monkeypatch.setitem(sys.modules, module.__name__, module)
        if end > 1:
            setattr(sys.modules[".".join(parts[: end - 1])], parts[end - 1], module)
    vars(sys.modules[name]).update(members)


# --- Snowflake -----------------------------------------------------------------------------------------------------


class SnowflakeError(Exception):
    """What the driver raises."""

    def __init__(self, said, sqlstate=None):
        super().__init__(said)
        self.sqlstate = sqlstate


class SnowflakeStandIn:
    """A connection and its cursor: remembers what is asked, answers with a table or an error."""

    def __init__(self, answer=ROWS):
        self.answer = answer
        self.asked = []
        self.open = 0

    def connect(self, uri):
        """Open."""
        self.asked.append(uri)
        self.open += 1
        return self

    def cursor(self):
        """Return the cursor."""
        self.open += 1
        return self

    def execute(self, sql):
        """Ask."""
        self.asked.append(sql)
        if isinstance(self.answer, Exception):
            raise self.answer

    def fetch_record_batch(self):
        """Answer; a list ends with an error in mid-stream."""
        if isinstance(self.answer, list):
            return pa.RecordBatchReader.from_batches(self.answer[0].schema, self._broken())
        return self.answer.to_reader()

    def _broken(self):
        yield self.answer[0]
        raise self.answer[1]

    def close(self):
        """Close."""
        self.open -= 1


@pytest.fixture
def snowflake(monkeypatch):
    """Stand in for the driver."""
    driver = SnowflakeStandIn()
    stand_in(monkeypatch, "adbc_driver_snowflake")
    members = {"connect": driver.connect, "Error": SnowflakeError}
    stand_in(monkeypatch, "adbc_driver_snowflake.dbapi", **members)
    return driver


URL = "snowflake://me:p%40ss@account/shop/public?warehouse=small"


def test_snowflake_asks(tmp_path, snowflake):
    """The session is in UTC with the timeout that was asked for; parameters are moments; everything is closed."""
    query = "select raw:id::string as id from t where at >= :interval_start -- :nope"

    read = Read(sql_source(tmp_path, URL, query=query, parameters={"interval_start": AT}, statement_timeout="90s"))

    assert snowflake.asked == [
        "me:p%40ss@account/shop/public?TIMEZONE=UTC&warehouse=small&STATEMENT_TIMEOUT_IN_SECONDS=90",
        "select raw:id::string as id from t where at >= '2026-01-02 00:00:00.000000 +00:00'::timestamp_tz -- :nope",
    ]
    assert (read.rows, snowflake.open) == ([{"ID": Decimal(2**60), "NAME": "x"}], 0)


def test_snowflake_tables_and_types(tmp_path, snowflake):
    """A plain name is as Snowflake means it; what it gives as JSON text is JSON, zoned times are moments in UTC."""
    fields = [
        pa.field("V", pa.string(), metadata={"logicalType": "VARIANT"}),
        pa.field("T", pa.timestamp("ns", "America/New_York")),
    ]
    snowflake.answer = pa.table([pa.array(['{"a": 1.10}']), pa.array([0], fields[1].type)], pa.schema(fields))

    read = Read(sql_source(tmp_path, URL, table='public."My table"'))

    assert snowflake.asked[-1] == 'SELECT * FROM public."My table"'
    assert read.schema.types == [pa.json_(), pa.timestamp("ns", "UTC")]


@pytest.mark.parametrize(
    ("answer", "kind", "said"),
    [
        (SnowflakeError("002003 (42S02): Object 'GONE' does not exist", "42S02"), SourceError, "'GONE' does not exist"),
        (SnowflakeError("100038 (22018): Numeric value 'secret' is not recognized", "22018"), SourceError, "not shown"),
        (SnowflakeError("390100: Incorrect username or password was specified: p@ss", "28000"), SourceError, "***"),
        (SnowflakeError("000630: Statement reached its statement or warehouse timeout"), SourceError, "timeout"),
        (SnowflakeError("dial tcp: connection refused"), SourceUnavailableError, "cannot be reached"),
        ([ROWS.to_batches()[0], OSError("unexpected EOF")], SourceUnavailableError, "cannot be reached"),
        (pa.table([[1], [2]], ["A", "A"]), SourceError, "'A' more than once"),
    ],
)
def test_snowflake_refuses(tmp_path, snowflake, answer, kind, said):
    """What goes wrong, also in mid-stream, is one message without password or value, and everything is closed."""
    snowflake.answer = answer

    with pytest.raises(SourceError, match=said.replace("*", r"\*")) as refused:
        Read(sql_source(tmp_path, URL, query="select 1"))

    assert type(refused.value) is kind
    assert [secret for secret in ("p@ss", "p%40ss", "secret") if secret in str(refused.value)] == []
    assert snowflake.open == 0


def test_snowflake_only_reading(tmp_path, snowflake):
    """Nothing but a SELECT is sent, since there is no read-only transaction; nothing is even connected."""
    for query in ("delete from t", "call drop_all()", "begin delete from t; end", "execute immediate 'x'"):
        with pytest.raises(SourceError, match="begins with"):
            sql_source(tmp_path, URL, query=query).read()

    assert snowflake.asked == []


# --- BigQuery ------------------------------------------------------------------------------------------------------


class BigQueryStandIn:
    """A client: remembers what is asked, says what kind of statement it is, answers with a table or an error."""

    def __init__(self):
        self.kind = "SELECT"
        self.answer = None
        self.schema = []
        self.asked = []
        self.made = None
        self.closed = False
        self.waited = None

    def client(self, **words):
        """Open."""
        self.made = words
        return self

    def query(self, sql, job_config):
        """Ask."""
        self.asked.append((sql, job_config))
        return self

    @property
    def statement_type(self):
        """Say what a dry run says."""
        return self.kind

    def result(self, timeout):
        """Wait for the answer."""
        self.waited = timeout
        if isinstance(self.answer, Exception):
            raise self.answer
        return self

    def to_arrow_iterable(self):
        """Answer."""
        yield from self.answer.to_batches()

    def cancel(self):
        """Give the query up."""
        self.asked.append("cancel")

    def close(self):
        """Close."""
        self.closed = True


class GoogleError(Exception):
    """What Google's client raises."""

    def __init__(self, message=""):
        super().__init__(message)
        self.message = message


class GoogleServerError(GoogleError):
    """One that says to come back."""


class GoogleAuthError(Exception):
    """Nobody to be."""


@pytest.fixture
def bigquery(monkeypatch):
    """Stand in for Google's client."""
    found = BigQueryStandIn()
    words = {"Client": found.client, "QueryJobConfig": dict, "ScalarQueryParameter": lambda *words: words}
    errors = {"RetryError": GoogleServerError, "ServerError": GoogleServerError, "TooManyRequests": GoogleServerError}
    auth = {"GoogleAuthError": GoogleAuthError, "TransportError": GoogleServerError}
    for name, members in {
        "google.cloud.bigquery": words,
        "google.api_core.exceptions": errors | {"GoogleAPICallError": GoogleError},
        "google.auth.exceptions": auth,
    }.items():
        before = sys.modules.get("google")
        stand_in(monkeypatch, name, **members)
        if before is not None:
            vars(sys.modules["google"]).update(
                {key: value for key, value in vars(before).items() if isinstance(value, ModuleType)}
            )
    return found


def column(name, kind, mode="NULLABLE", fields=()):
    """Describe a column as Google does."""
    return SimpleNamespace(name=name, field_type=kind, mode=mode, fields=fields)


def test_bigquery_asks(tmp_path, bigquery):
    """A dry run says that it reads; then it is asked, with its parameters bound, in its dataset."""
    bigquery.schema = [column("id", "INTEGER"), column("tags", "STRING", "REPEATED"),
                       column("place", "RECORD", fields=[column("city", "STRING")]),
                       column("price", "BIGNUMERIC"), column("raw", "JSON")]  # fmt: skip
    bigquery.answer = pa.table(
        {"id": [1], "tags": [["a"]], "place": [{"city": "Aarhus"}],
         "price": pa.array([Decimal("1.10")], pa.decimal256(76, 38)), "raw": ['{"a": 1}']}
    )  # fmt: skip
    query = "select * from `a:b` where name = 'it\\'s :x' and at >= :interval_start # :nope"
    url = "bigquery://project/shop?location=EU"

    read = Read(sql_source(tmp_path, url, query=query, parameters={"interval_start": AT}, statement_timeout="2m"))

    assert bigquery.made == {"project": "project", "location": "EU"}
    (sql, dry), (_, real) = bigquery.asked
    assert sql == query.replace(":interval_start", "@interval_start")
    assert (dry["dry_run"], real["dry_run"], real["job_timeout_ms"]) == (True, False, 120_000)
    assert real["query_parameters"] == [("interval_start", "TIMESTAMP", AT)]
    assert real["default_dataset"] == "project.shop"
    assert read.rows[0] | {"price": Decimal(read.rows[0]["price"])} == {
        "id": 1, "tags": ["a"], "place": {"city": "Aarhus"}, "price": Decimal("1.10"), "raw": '{"a": 1}',
    }  # fmt: skip
    assert bigquery.closed


def test_bigquery_only_reading(tmp_path, bigquery):
    """What a dry run calls anything but a SELECT is not run."""
    bigquery.kind = "SCRIPT"

    with pytest.raises(SourceError, match="the query writes"):
        sql_source(tmp_path, "bigquery://project", query="with a as (select 1) select 2").read()

    assert len(bigquery.asked) == 1
    with pytest.raises(SourceError, match="begins with MERGE"):
        sql_source(tmp_path, "bigquery://project", query="merge t using s on true").read()


@pytest.mark.parametrize(
    ("answer", "kind", "said"),
    [
        (GoogleError("Not found: Table project:shop.gone"), SourceError, "Table project:shop.gone"),
        (GoogleError("Bad int64 value: 'secret'"), SourceError, "the value is not shown"),
        (GoogleError("Job timeout"), SourceError, "statement timeout"),
        (TimeoutError(), SourceError, "statement timeout"),
        (GoogleServerError("503"), SourceUnavailableError, "cannot be reached"),
        (ConnectionResetError(), SourceUnavailableError, "cannot be reached"),
        (GoogleAuthError(), SourceError, "no credentials"),
    ],
)
def test_bigquery_refuses(tmp_path, bigquery, answer, kind, said):
    """What goes wrong is one message, without a value, and the client is closed."""
    bigquery.answer = answer

    with pytest.raises(SourceError, match=said) as refused:
        Read(sql_source(tmp_path, "bigquery://project", query="select 1 as x"))

    assert type(refused.value) is kind
    assert "secret" not in str(refused.value)
    assert bigquery.closed


def test_bigquery_columns_without_a_form(tmp_path, bigquery):
    """A column of a type without a form, and an option that is not known, are refused by name."""
    bigquery.schema, bigquery.answer = [column("r", "RANGE")], pa.table({"r": [1]})

    for url, said in (("bigquery://p", "'r' is of type RANGE"), ("bigquery://p?nope=1", "'nope' is not known")):
        with pytest.raises(SourceError, match=said):
            sql_source(tmp_path, url, query="select 1 as r").read()


def test_stopping_early_closes_snowflake(tmp_path, snowflake):
    """Whoever wants no more rows leaves nothing open."""
    with closing(sql_source(tmp_path, URL, query="select 1").read().batches) as batches:
        assert next(batches).data.num_rows == 1

    assert snowflake.open == 0
