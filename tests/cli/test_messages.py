"""What a person reads who has made a mistake: each message whole, as it is printed."""

import os

import pytest
from tiers import ROOT
from workplace import Workplace

HEAD = 'name: nightly\ndestination: {key: "${BUCKET_SECRET_KEY}"}\n'
USERS = HEAD + "streams:\n  - name: users\n    record: user\n    source: {type: csv, path: users.csv}\n"
WHOLE = USERS + "    fields: {userId: id}\n"
ROWS = "id,name\nu1,Ada\n"


def at(place, message, hint=""):
    """Return how a mistake of the pipeline file is printed."""
    told = f"\n      hint: {hint}" if hint else ""
    return f"error: pipeline.yaml: 1 mistake\n  pipeline.yaml:{place}: {message}{told}\n"


TYPES = "csv, tsv, parquet, jsonl, arrow, excel, delta, iceberg, query, sql, dbt or spark"
RECORDS = "user, company, event, feedback or feature_event"
VALUES = "string, integer, number, boolean, timestamp, date or json"
FIELD = "streams[0].fields.attributes.a"


def of_field(words):
    """Return the pipeline file with one attribute."""
    return USERS + f"    fields: {{userId: id, attributes: {{a: {{column: name, {words}}}}}}}\n"


# A pipeline file with one mistake, and what `check` prints.
OF_THE_FILE = {
    "a tab": (
        "name: x\nstreams:\n\t- name: a\n",
        at("3:1", "is not YAML: a tab stands in the indentation", "YAML takes no tabs; use two spaces"),
    ),
    "a tab after blanks": (
        "name: x\nstreams:\n  - name: a\n    fields:\n    \tuserId: id\n",
        at("5:5", "is not YAML: a tab stands in the indentation", "YAML takes no tabs; use two spaces"),
    ),
    "a line that is not indented as the others": (
        "name: x\nstreams:\n  - name: a\n   record: user\n",
        at("4:4", "is not YAML: the line is not indented as those it belongs to",
           "names of one mapping begin in the same column"),
    ),
    "a bracket that is not closed": (
        "name: x\nstreams: [a\n",
        at("2:10", "is not YAML: the bracket that begins here is not closed",
           "write `]` or `}` at its end, `,` inside"),
    ),
    "a quote that is not closed": (
        'name: "x\nstreams: []\n',
        at("1:7", "is not YAML: the quote that begins here is not closed", "write the same quote at its end"),
    ),
    "two colons": (
        "name: a: b\n",
        at("1:8", "is not YAML: a second `:` stands on the line, or the line is indented too far",
           "put quotes around a text that holds `: `"),
    ),
    "a star": (
        "name: *\n",
        at("1:8", "is not YAML: a text begins with `*` or `&`, which refer to something in YAML",
           "put quotes around it"),
    ),
    "a word that begins with a star": (
        "name: *all\n",
        at("1:7", "is not YAML: a text begins with `*` or `&`, which refer to something in YAML",
           "put quotes around it"),
    ),
    "an at sign": ("name: @x\n", at("1:7", "is not YAML: no text begins with `@`", "put quotes around it")),
    "a backslash in double quotes": (
        'name: "C:\\data"\n',
        at("1:11", "is not YAML: a backslash in double quotes begins an escape that there is not",
           "put single quotes around the text"),
    ),
    "type: xlsx": (
        WHOLE.replace("csv, path", "xlsx, path"),
        at("6:14", f"streams[0].source.type: must be {TYPES}, not `xlsx`", "did you mean `excel`?"),
    ),
    "type: cvs": (
        WHOLE.replace("csv, path", "cvs, path"),
        at("6:14", f"streams[0].source.type: must be {TYPES}, not `cvs`", "did you mean `csv`?"),
    ),
    "type: postgres": (
        WHOLE.replace("csv, path", "postgres, path"),
        at("6:14", f"streams[0].source.type: must be {TYPES}, not `postgres`", "did you mean `sql`?"),
    ),
    "no type": (
        WHOLE.replace("{type: csv, path", "{path"),
        at("6:5", f"streams[0].source: needs `type:`, one of {TYPES.replace(' or ', ', ')}",
           "by its name the file is `type: csv`"),
    ),
    "type: intger": (
        of_field("type: intger"), at("7:57", f"{FIELD}.type: must be {VALUES}, not `intger`", "did you mean `integer`?")
    ),
    "type: datetime": (
        of_field("type: datetime"),
        at("7:57", f"{FIELD}.type: must be {VALUES}, not `datetime`", "did you mean `timestamp`?"),
    ),
    "type: bool": (
        of_field("type: bool"), at("7:57", f"{FIELD}.type: must be {VALUES}, not `bool`", "did you mean `boolean`?")
    ),
    "type: float": (
        of_field("type: float"), at("7:57", f"{FIELD}.type: must be {VALUES}, not `float`", "did you mean `number`?")
    ),
    "a field's dst": (
        of_field("dst: late"),
        at("7:57", f"{FIELD}.dst: must be earliest or latest, not `late`", "did you mean `latest`?")
    ),
    "a field's encoding": (
        of_field("encoding: utf-8"),
        at("7:57", f"{FIELD}.encoding: must be utf8, hex or base64, not `utf-8`", "did you mean `utf8`?"),
    ),
    "a field's hash": (
        of_field("hash: SHA-256"),
        at("7:57", f"{FIELD}.hash: must be sha256 or hmac, not `SHA-256`", "did you mean `sha256`?"),
    ),
    "a field's unit": (
        of_field("unit: millis"),
        at("7:57", f"{FIELD}.unit: must be s, ms, us or ns, not `millis`", "did you mean `ms`?")
    ),
    "a field's zone": (
        of_field("timezone: europe/copenhagn"),
        at("7:57", f"{FIELD}.timezone: no time zone is named 'europe/copenhagn'; did you mean `Europe/Copenhagen`?"),
    ),
    "record: companies": (
        WHOLE.replace("record: user", "record: companies"),
        at("5:5", f"streams[0].record: must be {RECORDS}, not `companies`", "did you mean `company`?"),
    ),
    "no record": (
        WHOLE.replace("record: user", "record:"), at("5:5", f"streams[0].record: has no value; write {RECORDS}")
    ),
    "sync: chnages": (
        WHOLE + "    sync: chnages\n",
        at("8:5", "streams[0].sync: must be full, append or changes, not `chnages`", "did you mean `changes`?"),
    ),
    "sync: incremental": (
        WHOLE + "    sync: incremental\n",
        at("8:5", "streams[0].sync: must be full, append or changes, not `incremental`", "did you mean `changes`?"),
    ),
    "on_unknown: hodl": (
        WHOLE + "    on_unknown: hodl\n",
        at("8:5", "streams[0].on_unknown: must be resend or hold, not `hodl`", "did you mean `hold`?"),
    ),
    "api: tracking": (
        WHOLE.replace('KEY}"}', 'KEY}", api: tracking}'),
        at("2:44", "destination.api: must be front, front-legacy or tracking-legacy, not `tracking`",
           "did you mean `tracking-legacy`?"),
    ),
    "concurrency: atuo": (
        WHOLE.replace('KEY}"}', 'KEY}", concurrency: atuo}'),
        at("2:44", "destination.concurrency: must be auto or a whole number, not `atuo`", "did you mean `auto`?"),
    ),
    "arrays: flat": (
        WHOLE + "arrays: flat\n",
        at("8:1", "arrays: must be keep or flatten, not `flat`", "did you mean `flatten`?"),
    ),
    "a variable with a wrong word shows its name only": (
        WHOLE + "arrays: ${BUCKET_SECRET_KEY}\n",
        at("8:1", "arrays: must be keep or flatten, not `${BUCKET_SECRET_KEY}`"),
    ),
    "an unknown word": (
        WHOLE + "    tiemzone: UTC\n",
        at("8:5", "streams[0].tiemzone: `tiemzone` is not known here", "did you mean `timezone`?"),
    ),
    "a word that is like no other": (
        WHOLE + "    xyzzy: UTC\n",
        at("8:5", "streams[0].xyzzy: `xyzzy` is not known here", "`bucket-loader schema` lists what is"),
    ),
    "a source that is not there": (
        WHOLE.replace("{type: csv, path: users.csv}", "acounts") + "sources: {accounts: {type: csv, path: a.csv}}\n",
        at("6:5", "streams[0].source: no source is named 'acounts'; did you mean `accounts`?"),
    ),
    "an encoding of a file": (
        WHOLE.replace("users.csv", "users.csv, encoding: utf9"),
        at("6:5", "streams[0].source: no encoding is named 'utf9'; did you mean `utf-8`?"),
    ),
    "an empty path": (WHOLE.replace("users.csv", "''"), at("6:25", "streams[0].source.path: must not be empty")),
    "a delimiter of two characters": (
        WHOLE.replace("users.csv", "users.csv, delimiter: ';;'"),
        at("6:42", "streams[0].source.delimiter: must be one character"),
    ),
}  # fmt: skip


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with an export, in which the command runs; there is no Bucket."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "users.csv").write_text(ROWS)
    return Workplace(tmp_path, "http://127.0.0.1:9")


@pytest.mark.parametrize("case", OF_THE_FILE)
def test_a_mistake_in_the_file(case, place):
    """It is shown with its place, the value that was given, and what was meant."""
    text, printed = OF_THE_FILE[case]
    (place.folder / "pipeline.yaml").write_text(text)

    result = place.command_of("check", "pipeline.yaml")

    assert result.stderr == printed
    assert (result.exit_code, result.exception) == (2, None)


def told(message, hint):
    """Return how an error is printed."""
    return f"error: {message}\n  hint: {hint}\n"


# Words of the command line that are wrong, and what is printed.
OF_THE_WORDS = {
    "rn": told("`bucket-loader` has no command `rn`", "did you mean `run`?"),
    "validate": told("`bucket-loader` has no command `validate`", "did you mean `check`?"),
    "xyzzy": told("`bucket-loader` has no command `xyzzy`", "`bucket-loader --help` lists them"),
    "features lst": told("`bucket-loader features` has no command `lst`", "did you mean `list`?"),
    "--verbose run": told(
        "`bucket-loader` has no option `--verbose`",
        "a command says what it does anyway; `--log-format json` says everything",
    ),
    "run --dry-run": told(
        "`bucket-loader run` has no option `--dry-run`",
        "`bucket-loader plan PIPELINE` says what a run would send, and sends nothing",
    ),
    "run pipeline.yaml --dry-run": told(
        "`bucket-loader run` has no option `--dry-run`",
        "`bucket-loader plan pipeline.yaml` says what a run would send, and sends nothing",
    ),
    "run -f pipeline.yaml": told(
        "`bucket-loader run` has no option `-f`", "the pipeline file needs no option: `bucket-loader run pipeline.yaml`"
    ),
    "run --config=pipeline.yaml": told(
        "`bucket-loader run` has no option `--config`",
        "the pipeline file needs no option: `bucket-loader run pipeline.yaml`",
    ),
    "run --paitence 1s": told("`bucket-loader run` has no option `--paitence`", "did you mean `--patience`?"),
    "init users.csv --record companies": told(
        "invalid value for '--record': `companies` is none of user, company, event, feedback, feature_event; "
        "did you mean `company`?", ""
    ).replace("  hint: \n", ""),
    "run --limit many": told(
        "invalid value for '--limit': 'many' is not a whole number", "`bucket-loader run --help` shows how it is called"
    ),
    "abandon": told("missing argument 'RUN'", "`bucket-loader abandon --help` shows how it is called"),
    "run a b": told("got unexpected extra argument (b)", "`bucket-loader run --help` shows how it is called"),
    "run users.csv": told(
        "users.csv is a file of rows by its name; a pipeline file says what becomes of them",
        "`bucket-loader init users.csv -o users.yaml` writes one for it",
    ),
    "run pipelin.yaml": told(
        "cannot read the pipeline file pipelin.yaml: No such file or directory", "did you mean `pipeline.yaml`?"
    ),
    "replay nope.jsonl": told(
        "there is no file nope.jsonl", "`bucket-loader status PIPELINE RUN` names that of a run"
    ),
    "emulator --features nope.json": told(
        "cannot read nope.json: No such file or directory", "give a file of JSON"
    ),
    'emulator --port 0 --faults {"faults":[{"kind":"htlm"}]}': told(
        "malformed faults: faults[0].kind: 'htlm' is none of those that may stand here; did you mean `html`?",
        'an example: {"faults": [{"kind": "html"}]}',
    ),
    "run --stream user": told("no stream is named 'user'", "did you mean `users`?"),
}  # fmt: skip


@pytest.mark.parametrize("words", OF_THE_WORDS)
def test_a_word_of_the_command_line_that_is_wrong(words, place):
    """It is named, with what was meant or where to look."""
    (place.folder / "pipeline.yaml").write_text(WHOLE)

    result = place.command_of(*words.split())

    assert result.stderr == OF_THE_WORDS[words]
    assert (result.exit_code, result.exception) == (2, None)


def test_a_variable_that_is_nearly_ours_is_named(place):
    """Nothing reads it, so what it was set for does not happen."""
    result = place.command_of("schema", BUCKET_LOADER_STAET="x", BUCKET_LOADER_STATE_OF_THE_ART="y")

    assert result.stderr == (
        "warning: nothing reads the variable BUCKET_LOADER_STAET; did you mean `BUCKET_LOADER_STATE`?\n"
    )
    assert result.exit_code == 0


def test_the_only_pipeline_file_of_a_folder_needs_no_name(place):
    """Other YAML files are none; RUN alone is a run. None at all says `init`, and of several all are listed."""
    (place.folder / "nightly.assert.yml").write_text("counts: {users: 1}\n")
    os.mkfifo(place.folder / "pipe.yaml")  # nobody writes into it
    none = place.command_of("plan")
    (place.folder / "nightly.yaml").write_text(WHOLE)
    only, run_alone = place.command_of("plan"), place.command_of("abandon", "20260101T000000000Z")
    (place.folder / "hourly.yml").write_text(WHOLE)
    several = place.command_of("plan")

    assert (none.exit_code, only.exit_code, several.exit_code) == (2, 0, 2)
    assert none.stderr == told(
        "there is no pipeline file in this folder",
        "name one, `bucket-loader plan PIPELINE`; `bucket-loader init SOURCE -o FILE` writes a first one",
    )
    assert "users: 1 would be sent" in only.stderr or "the plan: " in only.stderr
    assert run_alone.stderr.startswith("error: there is no run 20260101T000000000Z\n")
    assert several.stderr == told(
        "there are 2 pipeline files in this folder: hourly.yml, nightly.yaml",
        "name one: bucket-loader plan hourly.yml",
    )


# --- sources -------------------------------------------------------------------------------------------------------


def of_table(url, what="table: events"):
    """Return the pipeline file with a stream from a database."""
    return WHOLE.replace("{type: csv, path: users.csv}", f'{{type: sql, url: "{url}", {what}}}')


def of_sql(expression):
    """Return the pipeline file with an expression."""
    return USERS + f'    fields: {{userId: id, attributes: {{a: {{sql: "{expression}"}}}}}}\n'


def unfit(place, why):
    """Return how an expression is refused."""
    return told(
        f"stream 'users':\n  {place}: the expression does not fit the source: {why}", "the source has: id, name"
    )


# A pipeline file whose source is not there, and what `plan` prints; DIR is the folder.
OF_THE_SOURCE = {
    "a database of another name": (
        of_table("sqlite:///ap.db"),
        told("stream 'users': there is no file ap.db", "paths start from DIR; near names there: app.db"),
    ),
    "a database of another folder": (
        of_table("sqlite:///data/app.db"),
        told("stream 'users': there is no file data/app.db",
             "paths start from DIR; the folder data does not exist in DIR"),
    ),
    "a table of another name": (
        of_table("sqlite:///app.db", "table: event"),
        told("stream 'users': app.db has no table 'event'", "did you mean `events`?"),
    ),
    "a table that is like no other": (
        of_table("sqlite:///app.db", "table: xyzzy"),
        told("stream 'users': app.db has no table 'xyzzy'", "it has: events, memberships"),
    ),
    "two slashes": (
        of_table("sqlite://app.db"),
        told("stream 'users': the sqlite URL names no file",
             "write three slashes and the path from the pipeline file's folder, sqlite:///relative.db; or four for an "
             "absolute path, sqlite:////absolute.db"),
    ),
    "a misspelt database": (
        of_table("postgrs://h/d"),
        told("stream 'users': SQLAlchemy knows no database called 'postgrs'", "did you mean `postgresql`?"),
    ),
    "a query's file": (
        of_table("sqlite:///app.db", "query_file: user.sql"),
        told("stream 'users': there is no file user.sql", "paths start from DIR; near names there: users.csv"),
    ),
    "a column of an expression": (
        WHOLE + "    where: nam = 'Ada'\n",
        unfit("where", "there is no column nam; did you mean `name`?"),
    ),
    "a function of an expression": (
        of_sql("lowr(name)"),
        unfit("fields.attributes.a", "there is no function lowr; did you mean `lower`?"),
    ),
    "values that do not fit a function": (
        of_sql("name + 1"),
        unfit("fields.attributes.a", "+(VARCHAR, INTEGER_LITERAL) does not take values of these types; "
              "bring them to another with CAST(... AS ...)"),
    ),
    "a column": (
        WHOLE.replace("userId: id", "userId: ids"),
        told("stream 'users':\n  the source has no column 'ids'", "did you mean 'id'? it has: id, name"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", OF_THE_SOURCE)
def test_a_source_that_is_not_there(case, place):
    """Where it was looked for is said, and what there is."""
    text, printed = OF_THE_SOURCE[case]
    (place.folder / "pipeline.yaml").write_text(text)
    (place.folder / "app.db").write_bytes((ROOT / "sample_data" / "warehouse.db").read_bytes())

    result = place.command_of("plan", "pipeline.yaml", COLUMNS="500")

    assert result.stderr.replace(str(place.folder), "DIR") == printed
    assert (result.exit_code, result.exception) == (2, None)


def test_a_path_from_where_the_command_runs_is_told_as_it_has_to_be_written(place):
    """Paths start from the pipeline file's folder."""
    (place.folder / "pipelines").mkdir()
    (place.folder / "pipelines" / "pipeline.yaml").write_text(WHOLE)

    result = place.command_of("plan", "pipelines/pipeline.yaml", COLUMNS="500")

    assert result.stderr == told(
        "stream 'users': there is no file users.csv", f"paths start from {place.folder}/pipelines; write ../users.csv"
    )
