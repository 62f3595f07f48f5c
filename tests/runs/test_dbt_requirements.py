"""What a pipeline requires of dbt is held before anything is read; and what dbt is told of pipelines."""

import json
from contextlib import closing
from datetime import UTC, datetime, timedelta

import duckdb
import pytest
from dbt_artifacts import manifest_of, node, results_of

MODEL, TEST, SQL_TEST, UNIT = "model.shop.dim", "test.shop.unique_dim", "test.shop.has_seats", "unit_test.shop.dim.adds"
OTHER = "test.shop.related"
NODES = [
    node("dim", relation_name='"w"."main"."dim"', columns={"ID": {"name": "ID", "description": "The id of billing."}},
         description="Each account."),
    node("unique_dim", "test", attached_node=MODEL, depends_on={"nodes": [MODEL]}),
    node("has_seats", "test", depends_on={"nodes": [MODEL]}),
    node("related", "test", attached_node="model.shop.fct", depends_on={"nodes": ["model.shop.fct", MODEL]}),
]  # fmt: skip
GOOD = {MODEL: "success", TEST: "pass", SQL_TEST: "pass"}
PIPELINE = """
- name: companies
  record: company
  source: {type: dbt, model: dim, manifest: target/manifest.json, url: "duckdb:///w.duckdb", require: {max_age: 6h}}
  fields: {companyId: id, attributes: {seats: seats}}
"""


def ago(**span):
    """Spell a time that is so long ago, as dbt does."""
    return f"{datetime.now(UTC) - timedelta(**span):%Y-%m-%dT%H:%M:%S.%fZ}"


@pytest.fixture
def built(workplace):
    """A workplace with a pipeline over a model that dbt has built, and its tests."""
    with closing(duckdb.connect(workplace.folder / "w.duckdb")) as connection:
        connection.execute("create table dim as from (values ('00123', 3, 1), ('00124', 9, 2)) t(id, seats, number)")
    unit = {"unit_test.shop.dim.adds": node("adds", "unit_test", depends_on={"nodes": [MODEL]}) | {"unique_id": UNIT}}
    workplace.write("target/manifest.json", json.dumps(manifest_of(*NODES, unit_tests=unit)))
    workplace.pipeline(PIPELINE)
    return workplace


def run(built, results):
    """Run after dbt has written such results."""
    built.write("target/run_results.json", json.dumps(results))
    return built.run()


def test_a_model_that_was_built_and_tested_is_loaded(built, emulator):
    """A test that belongs to another model, and only reads this one, does not count."""
    result = run(built, results_of(GOOD | {OTHER: "fail"}, at=ago(hours=1)))

    assert (result.exit_code, emulator.state()["companies"]) == (0, 2)


@pytest.mark.parametrize(
    ("results", "said"),
    [
        (results_of({TEST: "pass"}, at=ago(hours=1)), "was not built by the last call of dbt"),
        (results_of(GOOD, at=ago(hours=1), which="compile"), "which was `dbt compile`"),
        (results_of(GOOD, at=ago(hours=1), which="generate"), "which was `dbt generate`"),
        (results_of(GOOD, at=ago(hours=1), empty=True), "without rows"),
        (results_of(GOOD | {MODEL: "error"}, at=ago(hours=1)), "status of it is 'error'"),
        (results_of(GOOD | {MODEL: "skipped"}, at=ago(hours=1)), "status of it is 'skipped'"),
        (results_of(GOOD | {MODEL: "partial success"}, at=ago(hours=1)), "'partial success'"),
        (results_of(GOOD, at=ago(hours=7)), "was built 7 h"),
        (results_of(GOOD | {TEST: "fail"}, at=ago(hours=1)), "unique_dim (fail, 2 failures)"),
        (results_of(GOOD | {TEST: "error"}, at=ago(hours=1)), "unique_dim (error)"),
        (results_of(GOOD | {TEST: "skipped"}, at=ago(hours=1)), "unique_dim (skipped)"),
        (results_of(GOOD | {SQL_TEST: "fail"}, at=ago(hours=1)), "has_seats (fail"),
        (results_of(GOOD | {UNIT: "fail"}, at=ago(hours=1)), "adds (fail"),
    ],
)
def test_what_is_not_as_required_stops_before_anything_is_read(built, emulator, results, said):
    """Exit 4, with the model or the test by name, although its database is gone."""
    (built.folder / "w.duckdb").unlink()
    result = run(built, results)

    assert (result.exit_code, emulator.state()["requests"]) == (4, 0)
    assert said in result.stderr
    assert "dim" in result.stderr
    assert "dbt build --select dim" in result.stderr


@pytest.mark.parametrize(
    ("results", "note"),
    [
        (results_of(GOOD | {TEST: "warn"}, at=ago(hours=1)), "model dim: unique_dim (warn, 2 failures)"),
        (results_of({MODEL: "success"}, at=ago(hours=1), which="run"), "has no result of a test on it"),
    ],
)
def test_a_warning_is_a_note(built, results, note):
    """Also when no test was run: some people test apart."""
    result = run(built, results)

    assert (result.exit_code, note in result.stderr) == (0, True)


def test_the_time_of_the_model_counts_not_that_of_the_call(built):
    """A long call has built it long before its end."""
    results = results_of(GOOD, at=ago(hours=1))
    results["results"][0]["timing"] = [{"name": "execute", "completed_at": ago(hours=8)}]
    result = run(built, results)

    assert (result.exit_code, "8 h ago" in result.stderr) == (4, True)


def test_every_stream_is_held_before_the_first_is_read(built, emulator):
    """Users must not go out when companies turn out to be stale; --stream asks for those it names alone."""
    users = PIPELINE.replace("record: company", "record: user").replace("companies", "users")
    users = users.replace("companyId", "userId").replace(", require: {max_age: 6h}", "")
    built.pipeline(users + PIPELINE)
    built.write("target/run_results.json", json.dumps(results_of({})))

    assert (built.run().exit_code, emulator.state()["requests"]) == (4, 0)
    assert built.run("--stream", "users").exit_code == 0


def test_a_model_under_a_query_is_held_too(built):
    """A query reads its named sources."""
    source = PIPELINE.partition("source: ")[2].partition("\n")[0]
    built.pipeline(
        "- {name: c, record: company, source: {type: query, sql: select id from accounts}, fields: {companyId: id}}",
        head=f"sources:\n  accounts: {source}\n",
    )

    assert run(built, results_of(GOOD | {TEST: "fail"}, at=ago(hours=1))).exit_code == 4
    assert run(built, results_of(GOOD, at=ago(hours=1))).exit_code == 0


def test_no_results_are_a_mistake(built):
    """Nobody can say that a model was built where dbt has left nothing."""
    result = built.run()

    assert (result.exit_code, "there is no target/run_results.json" in result.stderr) == (2, True)


def test_a_cursor_reads_on_in_a_model(built, emulator):
    """The second run asks for what is new alone, without a query of anybody's; so it is with a table."""
    for source in ("type: dbt, model: dim, manifest: target/manifest.json", "type: sql, table: dim"):
        name = source[6:9]
        built.pipeline(
            f"- {{name: c, record: company, source: {{{source}, url: 'duckdb:///w.duckdb'}}, fields: {{companyId: id}},"
            " cursor: {column: number, start: 0}}",
            name=name,
        )
        reads = [built.run().summary["streams"]["c"]["read"] for _ in range(2)]

        assert reads == [2, 1]


# --- exposures and init --------------------------------------------------------------------------------------------

OWNER = "owner: {name: 'Growth \"G\"', email: g@h.example, url: 'https://w.example/x'}\ndescription: \"{{ b }}\\nc\"\n"


def exposures(built, *words, names=("pipeline.yaml",), **variables):
    """Write exposures, in a shell without any variable."""
    files = [str(built.folder / name) for name in names]
    return built.command_of("exposures", *files, *words, BUCKET_BASE_URL="", BUCKET_SECRET_KEY="", **variables)


def test_exposures_say_who_reads_a_model(built):
    """One a stream, in the order of their names; without a variable, a manifest or a database."""
    more = PIPELINE.replace("companies", "a b").replace("model: dim", "model: plans.v1, package: billing")
    plain = "- {name: files, record: user, source: {type: csv, path: '${EXPORTS}/a.csv'}, fields: {userId: id}}\n"
    built.pipeline(PIPELINE.replace("duckdb:///w.duckdb", "${WAREHOUSE}") + more + plain, head=OWNER)
    result = exposures(built)

    assert result.exit_code == 0
    assert "no model of dbt is read by files" in result.stderr
    assert result.stdout == (
        "# Made by `bucket-loader exposures`: change the pipeline files, and run it again.\n"
        "exposures:\n"
        "  - name: test_a_b\n"
        "    type: application\n"
        '    url: "https://w.example/x"\n'
        '    description: "{ { b }} c The stream a b of the pipeline test loads it into Bucket, as company records."\n'
        "    depends_on:\n"
        "      - ref('billing', 'plans', v=1)\n"
        "    owner:\n"
        '      name: "Growth \\"G\\""\n'
        '      email: "g@h.example"\n'
        "  - name: test_companies\n"
        "    type: application\n"
        '    url: "https://w.example/x"\n'
        '    description: "{ { b }} c The stream companies of the pipeline test loads it into Bucket, '
        'as company records."\n'
        "    depends_on:\n"
        "      - ref('dim')\n"
        "    owner:\n"
        '      name: "Growth \\"G\\""\n'
        '      email: "g@h.example"\n'
    )


def test_exposures_are_compared_byte_for_byte(built):
    """--check ends with 3 when the file is missing or another; the order of the pipeline files does not matter."""
    for name in ("one", "two"):
        built.pipeline(PIPELINE, head=OWNER, name=name).rename(built.folder / f"{name}.yaml")
    file = str(built.folder / "exposures.yml")
    codes = [exposures(built, "-o", file, *check, names=names).exit_code for check, names in (
        (["--check"], ["one.yaml", "two.yaml"]), ([], ["one.yaml", "two.yaml"]),
        (["--check"], ["two.yaml", "one.yaml"]),
        (["--check"], ["one.yaml"]), (["--check"], ["one.yaml", "two.yaml"]),
    )]  # fmt: skip

    assert codes == [3, 0, 0, 3, 0]


@pytest.mark.parametrize(
    ("streams", "head", "said"),
    [
        (PIPELINE, "", "does not say whose it is"),
        (PIPELINE + PIPELINE.replace("companies", "Companies"), OWNER, "would both be the exposure 'test_companies'"),
        (PIPELINE, "owner: {url: 'https://w'}\n", "needs `name:` or `email:`"),
    ],
)
def test_exposures_that_dbt_would_refuse_are_not_written(built, streams, head, said):
    """No owner, or one name twice."""
    built.pipeline(streams, head=head)
    result = exposures(built)

    assert (result.exit_code, said in result.stderr, result.stdout) == (2, True, "")


def test_check_needs_a_file(built):
    """It compares with something."""
    assert exposures(built, "--check").exit_code == 2


def test_init_writes_what_dbt_says_of_a_model(built, monkeypatch):
    """Descriptions become comments; the file that it writes runs."""
    monkeypatch.chdir(built.folder)
    built.write("dbt_project.yml", "profile: shop\n")
    built.write("profiles.yml", "shop: {target: a, outputs: {a: {type: duckdb, path: w.duckdb}}}\n")
    result = built.command_of("init", "dbt:dim", "-o", "in/first.yaml", "--yes")
    assert result.exit_code == 2  # no such folder
    (built.folder / "in").mkdir()
    result = built.command_of("init", "dbt:shop.dim", "--record", "company", "-o", "in/first.yaml", "--yes")
    text = (built.folder / "in/first.yaml").read_text()

    assert result.exit_code == 0, result.stderr
    assert 'source: {type: dbt, model: dim, package: shop, project: ".."}' in text
    assert "# dbt says of it: Each account.\n" in text
    assert "      # The id of billing.\n      companyId: id" in text
    assert built.command_of("run", "--json", "in/first.yaml").summary["streams"]["dim"]["delivered"] == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["dbt:dim"], "--project"),
        (["dbt:dim", "--manifest", "target/manifest.json"], "--profile"),
        (["dbt:dimm", "--manifest", "target/manifest.json", "--profile", "x"], "did you mean `dim`?"),
        (["a.csv", "--project", "x"], "is for a model of dbt"),
    ],
)
def test_init_says_what_it_lacks(built, monkeypatch, words, said):
    """Where the project is, how to connect, which model."""
    monkeypatch.chdir(built.folder)
    result = built.command_of("init", *words, "--yes")

    assert (result.exit_code, said in result.stderr) == (2, True)
