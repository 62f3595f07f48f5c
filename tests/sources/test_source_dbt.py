"""A model of dbt as a source: which relation it is, and how dbt's own profile connects to it."""

import base64
import json
import subprocess
import sys
from contextlib import closing

import duckdb
import pytest
from dbt_artifacts import dbt_source, manifest_of, node
from pydantic import ValidationError
from source_helpers import Read

from bucket_loader.config import DbtSource
from bucket_loader.model.errors import BucketLoaderError, SourceError, SourceUnavailableError
from bucket_loader.sources.dbt.artifacts import Manifest, read_artifact
from bucket_loader.sources.dbt.connection import connection_of
from bucket_loader.sources.dbt.manifest import node_of
from bucket_loader.sources.dbt.profiles import target_of
from bucket_loader.sources.files.local import LocalFile
from bucket_loader.sources.lineage.lineage import Around, upstream_of
from bucket_loader.sources.lineage.upstream import Dataset

SECRET = "p@ss/word 1"  # noqa: S105  # of nobody
PROFILES = """
config: {send_anonymous_usage_stats: false}
shop:
  target: "{{ env_var('SHOP_TARGET', 'dev') }}"
  outputs:
    dev: {type: duckdb, path: warehouse.duckdb}
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Return the folder of a project that was built into a DuckDB file."""
    monkeypatch.delenv("DBT_PROFILES_DIR", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "nobody"))
    folder = tmp_path / "dbt"
    (folder / "target").mkdir(parents=True)
    (folder / "dbt_project.yml").write_text("name: shop\nprofile: shop\n")
    (folder / "profiles.yml").write_text(PROFILES)
    (folder / "target/manifest.json").write_text(json.dumps(manifest_of(node("dim_accounts"))))
    with closing(duckdb.connect(folder / "warehouse.duckdb")) as connection:
        connection.execute("create table dim_accounts as from (values ('00123', 3), ('00124', 9)) t(id, seats)")
    return folder


def rows(project, /, **words):
    """Read the model as a pipeline file beside the project does."""
    given = {"model": "dim_accounts", "project": "dbt"} | words
    return Read(dbt_source(project.parent, **given)).rows


def refused(project, /, **words):
    """Return what a source of the model is refused with: the message and the hint."""
    with pytest.raises(BucketLoaderError) as caught:
        rows(project, **words)
    return str(caught.value)


def found(spec, *nodes, **parts):
    """Return the unique id of the node that a source's words mean, or the message."""
    import msgspec

    manifest = msgspec.convert(manifest_of(*nodes, **parts), Manifest)
    try:
        return node_of(manifest, DbtSource.model_validate({"type": "dbt", "project": ".", **spec})).unique_id
    except SourceError as error:
        return str(error)


# --- which relation ------------------------------------------------------------------------------------------------


def test_a_model_is_read_by_its_name(project):
    """The relation comes from the manifest, the connection from the profile that the project names."""
    assert rows(project) == [{"id": "00123", "seats": 3}, {"id": "00124", "seats": 9}]


def test_a_query_calls_the_model_this(project):
    """As dbt itself does; the rest of the query is the database's own SQL."""
    assert rows(project, query="select id from {{ this }} where seats > 5") == [{"id": "00124"}]


def test_a_manifest_and_a_url_need_no_project(project):
    """Both paths start from the pipeline file."""
    words = {"project": None, "manifest": "dbt/target/manifest.json", "url": "duckdb:///dbt/warehouse.duckdb"}

    assert len(rows(project, **words)) == 2


VERSIONS = [node("plans", version=number, latest_version=2) for number in (1, 2)]
TWICE = [node("dim", package="shop"), node("dim", package="billing")]


@pytest.mark.parametrize(
    ("spec", "nodes", "is_found"),
    [
        ({"model": "dim"}, [node("dim")], "model.shop.dim"),
        ({"model": "raw"}, [node("raw", "seed")], "seed.shop.raw"),
        ({"model": "snap"}, [node("snap", "snapshot")], "snapshot.shop.snap"),
        ({"model": "plans"}, VERSIONS, "model.shop.plans.v2"),
        ({"model": "plans", "version": 1}, VERSIONS, "model.shop.plans.v1"),
        ({"model": "plans.v1"}, VERSIONS, "model.shop.plans.v1"),
        ({"model": "dim", "package": "billing"}, TWICE, "model.billing.dim"),
    ],
)
def test_a_name_means_what_ref_means(spec, nodes, is_found):
    """The latest version by default; models, seeds and snapshots."""
    assert found(spec, *nodes) == is_found


@pytest.mark.parametrize(
    ("spec", "nodes", "said"),
    [
        ({"model": "dim"}, TWICE, ["billing and shop", "package: billing"]),
        ({"model": "dim", "package": "shopp"}, TWICE, ["no 'dim' in the package 'shopp'", "did you mean `shop`?"]),
        ({"model": "dim_acounts"}, [node("dim_accounts")], ["did you mean `dim_accounts`?"]),
        ({"model": "plans.v3"}, VERSIONS, ["no version 3 of 'plans'", "versions: 1, 2"]),
        ({"model": "dim"}, [node("dim", config={"materialized": "ephemeral"}, relation_name=None)], ["ephemeral"]),
        ({"model": "not_null_dim"}, [node("not_null_dim", "test")], ["no model, seed or snapshot"]),
    ],
)
def test_a_name_that_means_no_relation_is_refused(spec, nodes, said):
    """Each by name, with what to write instead."""
    message = found(spec, *nodes)

    assert [words for words in said if words not in message] == []


def test_what_dbt_does_not_build_is_refused_by_name():
    """A source of dbt, and a model that is disabled."""
    source = node("accounts", "source", source_name="raw")

    assert "is a source of dbt" in found({"model": "accounts"}, sources={"source.shop.raw.accounts": source})
    assert "is disabled" in found({"model": "old"}, disabled={"model.shop.old": [node("old")]})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (json.dumps(manifest_of(version=11) | {"nodes": ["another form"]}), "schema v11, of dbt 1.7.0; v12 and newer"),
        ('{"metadata": {"dbt_schema_version": "https://schemas.getdbt.com/dbt/run-results/v6.json"}}', "no manifest"),
        ('{"nodes": {', "is not what dbt writes"),
        ("{}", "no manifest"),
        (None, "there is no"),
    ],
)
def test_a_manifest_that_cannot_be_used_is_refused(tmp_path, text, said):
    """An old one, another file, half of one, none."""
    path = tmp_path / "manifest.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(SourceError, match=said):
        read_artifact(LocalFile(path, "manifest.json"), Manifest)


def test_newer_manifests_are_read(tmp_path):
    """What dbt adds later does no harm."""
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps(manifest_of(node("dim", new={"a": 1}), version=13, functions={})))

    assert list(read_artifact(LocalFile(path, ""), Manifest).nodes) == ["model.shop.dim"]


def test_a_file_that_is_being_written_can_be_read_later(project):
    """A build that is under way, in a process of its own, is no mistake."""
    holds = f"import duckdb; held = duckdb.connect({str(project / 'warehouse.duckdb')!r}); print(flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", holds], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        holder.stdout.readline()
        with pytest.raises(SourceUnavailableError, match="open in another program"):
            rows(project)
        holder.kill()


def test_lineage_names_the_relation(project):
    """As the warehouse's own tools call the table, for a model and for a query of it."""
    around = Around(project.parent, {})
    words = {"type": "dbt", "model": "dim_accounts", "project": "dbt"}
    found = [upstream_of(DbtSource.model_validate(words | query), around).datasets for query in (
        {}, {"query": "select id from {{ this }}"},
    )]  # fmt: skip

    assert found == [(Dataset(f"duckdb://{project / 'warehouse.duckdb'}", "warehouse.main.dim_accounts"),)] * 2


# --- how to connect ------------------------------------------------------------------------------------------------


def connection(project, text, **variables):
    """Return what a target of these words connects with."""
    (project / "profiles.yml").write_text(f"shop: {{target: dev, outputs: {{dev: {text}}}}}\n")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        made = connection_of(target_of("shop", None, project))
    return made.url, made.user, made.password


@pytest.mark.parametrize(
    ("words", "url"),
    [
        ("type: postgres, host: db.example, user: me, pass: x, dbname: shop, schema: s", "postgresql://db.example:5432/shop"),
        ("type: postgres, host: '::1', port: 5433, user: me, password: x, database: shop", "postgresql://[::1]:5433/shop"),
        ("type: postgres, host: h, user: me, dbname: shop, sslmode: verify-full, sslrootcert: /a b, role: the boss",
         "postgresql://h:5432/shop?sslmode=verify-full&sslrootcert=%2Fa%20b&options=-c%20role%3Dthe%5C%20boss"),
        ("type: postgres, host: /var/run/pg, user: me, dbname: shop", "postgresql:///shop?host=%2Fvar%2Frun%2Fpg&port=5432"),
        ("type: redshift, host: c.example, user: me, password: x, dbname: shop", "redshift://c.example:5439/shop"),
        ("type: snowflake, account: ab12, user: me, password: x, database: SHOP, schema: P, warehouse: W, role: R",
         "snowflake://ab12/SHOP/P?warehouse=W&role=R"),
        ("type: snowflake, account: ab12, user: me, authenticator: oauth, token: t, database: SHOP",
         "snowflake://ab12/SHOP?authenticator=oauth&token=t"),
        ("type: bigquery, project: shop-1, dataset: d, location: EU", "bigquery://shop-1/d?location=EU"),
        ("type: bigquery, method: service-account, keyfile: /k.json, project: p, execution_project: q, schema: d",
         "bigquery://q/d?credentials=%2Fk.json"),
        ("type: duckdb, path: /abs/shop.duckdb", "duckdb:////abs/shop.duckdb"),
    ],
)  # fmt: skip
def test_a_target_becomes_a_url(project, words, url):
    """As the `sql` source takes it, for each adapter; secrets stay beside it."""
    assert connection(project, f"{{{words}}}")[0] == url


def test_a_private_key_becomes_what_the_driver_takes(project):
    """The bytes of PKCS #8, without the lines around them."""
    key = base64.b64encode(bytes(range(250, 256)) * 9).decode()
    (project / "key.p8").write_text(f"-----BEGIN PRIVATE KEY-----\n{key[:64]}\n{key[64:]}\n-----END PRIVATE KEY-----\n")
    url, user, password = connection(project, "{type: snowflake, account: a, user: me, private_key_path: key.p8}")

    assert (user, password) == ("me", None)
    assert url.startswith("snowflake://a/?authenticator=SNOWFLAKE_JWT&privateKey=-vv8_f7_")


def test_variables_of_the_environment_are_read(project):
    """With a default, in the middle of a text, and through the filters of numbers."""
    words = ("{type: postgres, host: \"{{ env_var('H') }}.example\", port: \"{{ env_var('P', 5433) | as_number }}\","
             " user: \"{{env_var(\\\"U\\\")}}\", pass: \"{{ env_var('S') }}\", dbname: d}")  # fmt: skip

    assert connection(project, words, H="db", U="me", S=SECRET) == ("postgresql://db.example:5433/d", "me", SECRET)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("type: postgres, user: me, dbname: d, host: \"{{ var('h') }}\"", "profiles.yml:1: shop.outputs.dev.host: of"),
        ("type: postgres, user: me, dbname: d, host: '{% if x %}a{% endif %}'", "of Jinja only"),
        ("type: postgres, user: me, dbname: d, host: \"{{ env_var('H') | upper }}\"", "of Jinja only"),
        ("type: postgres, user: me, dbname: d, host: \"{{ env_var('NOT_THERE') }}\"", "variable NOT_THERE is not set"),
        ("type: postgres, user: me, dbname: d", "has no `host`"),
        ("type: postgres, user: me, dbname: d, host: 'me:p@h'", "is no host"),
        ("type: redshift, method: iam, host: h, user: u, dbname: d", "no `method: iam`"),
        ("type: snowflake, account: a, user: u, private_key: x, private_key_passphrase: y", "passphrase is not read"),
        ("type: bigquery, method: oauth-secrets, project: p", "no `method: oauth-secrets`"),
        ("type: duckdb", "in memory is gone"),
        ("type: duckdb, path: 'md:shop'", "a file of this machine"),
        ("type: spark, host: h", "postgres, redshift, snowflake, bigquery, duckdb"),
    ],
)  # fmt: skip
def test_what_a_profile_cannot_say_is_refused(project, words, said):
    """By name and line, and without the value."""
    with pytest.raises(SourceError) as caught:
        connection(project, f"{{{words}}}")

    assert said in str(caught.value)
    assert "me:p" not in str(caught.value)


def test_only_the_chosen_target_has_to_be_readable(project):
    """Dbt too renders no other; an anchor brings words, and what is beside it wins."""
    (project / "profiles.yml").write_text(
        "shop:\n  target: dev\n  outputs:\n    base: &base {type: duckdb, path: \"{{ var('x') }}\"}\n"
        "    dev:\n      <<: *base\n      path: warehouse.duckdb\n"
    )

    assert len(rows(project)) == 2


def test_a_word_that_stands_twice_is_refused(project):
    """Of two, dbt takes the last one; which was meant nobody knows."""
    (project / "profiles.yml").write_text(f"{PROFILES}    dev: {{type: duckdb, path: other.duckdb}}\n")

    assert "`dev` is written twice" in refused(project)


def test_profiles_are_where_dbt_finds_them(project, monkeypatch):
    """DBT_PROFILES_DIR alone where it is set, else the project, else the user's folder."""
    elsewhere = project.parent / "nobody/.dbt"
    elsewhere.mkdir(parents=True)
    (project / "profiles.yml").rename(elsewhere / "profiles.yml")
    assert len(rows(project)) == 2

    monkeypatch.setenv("DBT_PROFILES_DIR", str(project))
    assert f"no profiles.yml in {project}" in refused(project)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"profile": "shopp"}, "did you mean `shop`?"),
        ({"target": "prod"}, "has no target 'prod'"),
        ({"project": "dbtt"}, "there is no"),
        ({"manifest": "nowhere.json"}, "there is no nowhere.json"),
    ],
)
def test_what_is_not_there_is_named(project, words, said):
    """Profile, target, project, manifest."""
    assert said in refused(project, **words)


def test_no_secret_is_in_an_error_or_a_fingerprint(project, monkeypatch):
    """Of a server that is not there, with a password that is written in three ways."""
    monkeypatch.setenv("DBT_ENV_SECRET", SECRET)
    (project / "profiles.yml").write_text(
        "shop: {target: dev, outputs: {dev: {type: postgres, host: 127.0.0.1, port: 1, user: me, dbname: d,"
        " password: \"{{ env_var('DBT_ENV_SECRET') }}\"}}}\n"
    )
    source = dbt_source(project.parent, model="dim_accounts", project="dbt")
    with pytest.raises(SourceUnavailableError) as caught:
        source.read()
    shown = " ".join([str(caught.value), repr(caught.value), repr(vars(source)), source.fingerprint()])

    assert [part for part in (SECRET, "p%40ss") if part in shown] == []


# --- what may be written -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({}, "needs `project:`"),
        ({"manifest": "m.json"}, "needs `url:`"),
        ({"project": ".", "url": "duckdb:///a", "profile": "p"}, "give one of them"),
        ({"project": ".", "user": "me"}, "go with `url:`"),
        ({"project": ".", "query": "select 1"}, "{{ this }}"),
        ({"project": ".", "query": "select * from {{ this }}, {{ ref('b') }}"}, "no other Jinja"),
        ({"project": ".", "query": "select * from {{ this }} where x = :y"}, ":y is not bound"),
    ],
)
def test_words_that_do_not_fit_are_refused(words, said):
    """Each with what is missing, or what contradicts what."""
    with pytest.raises(ValidationError) as caught:
        DbtSource.model_validate({"type": "dbt", "model": "m", **words})

    assert said in str(caught.value)
