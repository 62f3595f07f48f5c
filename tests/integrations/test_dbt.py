"""A real dbt: what it builds is read by name, what it refuses stops a run, and it reads the exposures.

The commands of docs/how-to/dbt.md are run as they stand there, in two folders side by side.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from servers import PASSWORD, in_postgres, postgres
from tiers import DBT, ROOT
from workplace import KEY, Emulator

from bucket_loader.config import DbtSource
from bucket_loader.emulator.http.server import running
from bucket_loader.sources.base import SourceContext
from bucket_loader.sources.registry import open_source

pytestmark = pytest.mark.dbt
PROJECT = Path(__file__).parent / "dbt_project"
PAGE = (ROOT / "docs/how-to/dbt.md").read_text("utf-8")
QUIET = {"DO_NOT_TRACK": "1", "DBT_SEND_ANONYMOUS_USAGE_STATS": "false", "DBT_VERSION_CHECK": "false", "NO_COLOR": "1"}


@dataclass
class Side:
    """A folder with pipelines beside a project of dbt, and a shell that stands in it."""

    folder: Path
    emulator: Emulator
    said: dict = field(default_factory=dict)

    @property
    def project(self):
        """The project's folder."""
        return self.folder.parent / "dbt"

    def shell(self, line, **variables):
        """Run a line; gives the exit code, and what it printed."""
        path = os.pathsep.join([str(Path(sys.executable).parent), str(DBT / "bin"), os.environ["PATH"]])
        known = {"PATH": path, "BUCKET_BASE_URL": self.emulator.url, "BUCKET_SECRET_KEY": KEY, "COLUMNS": "200"}
        environment = {**os.environ, **QUIET, **known, "HOME": str(self.folder), **variables}
        done = subprocess.run(["sh", "-c", line], cwd=self.folder, env=environment, capture_output=True, text=True,
                              check=False, timeout=300)  # fmt: skip
        return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def side(tmp_path_factory):
    """Return the folders after every command of the page was run; what each said is kept."""
    base = tmp_path_factory.mktemp("side")
    shutil.copytree(PROJECT, base / "dbt")
    (base / "pipelines").mkdir()
    (pipeline,) = re.findall(r"```yaml\n(.+?)```", PAGE, flags=re.DOTALL)
    (base / "pipelines/accounts.yaml").write_text(pipeline)
    (commands,) = re.findall(r"```console\n(.+?)```", PAGE, flags=re.DOTALL)
    with running(secret_key=KEY, publishable_key="pub_test_0123456789") as endpoint:
        made = Side(base / "pipelines", Emulator(endpoint.url))
        for line in commands.splitlines():
            made.said[line] = made.shell(line)
        yield made


def said(side, word):
    """Return what the command of the page with this word printed; it went well."""
    ((code, text),) = [said for line, said in side.said.items() if word in line]
    assert code == 0, text
    return text


def test_a_model_that_dbt_has_built_is_loaded_by_its_name(side):
    """Its ids are what they are; a test that warns is a note."""
    assert "warn, 1 failure" in said(side, "run accounts.yaml")
    assert side.emulator.call("GET", "/_emulator/companies/00123").count('"plan"') == 1
    assert side.emulator.state()["companies"] == 3


def test_init_writes_the_descriptions_of_dbt(side):
    """Those of the model and of its columns, as dbt has put them into its manifest."""
    text = said(side, "init")

    assert "# dbt says of it: One row for each paying account." in text
    assert "# The id that billing knows the account by.\n      companyId: account_id" in text


def test_the_exposures_stay_as_they_are(side):
    """The last command of the page compares them, and has nothing to say."""
    assert said(side, "--check") == ""


@pytest.mark.parametrize(("model", "rows"), [("raw_accounts", 3), ("plans", 2), ("plans.v1", 2), ("dim_accounts", 3)])
def test_whatever_has_a_relation_is_read(side, model, rows):
    """A seed, the latest version and an older one, a model: in a file that dbt's own DuckDB has written."""
    source = open_source(DbtSource(type="dbt", model=model, project="../dbt"), SourceContext(side.folder))

    assert sum(batch.data.num_rows for batch in source.read().batches) == rows


def test_a_test_that_fails_stops_the_run_and_dbt_knows_the_exposures(side):
    """One call of dbt: it parses the exposures, builds, and a test of its own SQL fails."""
    side.shell("cd ../dbt && dbt build --vars '{seats_min: 5}'")
    requests = side.emulator.state()["requests"]
    code, text = side.shell("bucket-loader run accounts.yaml")
    (exposure,) = json.loads((side.project / "target/manifest.json").read_text("utf-8"))["exposures"].values()

    assert (code, "accounts_have_seats (fail, 2 failures)" in text) == (4, True)
    assert side.emulator.state()["requests"] == requests
    assert exposure["name"] == "accounts_companies"
    assert exposure["depends_on"]["nodes"] == ["model.shop.dim_accounts"]
    assert exposure["owner"] == {"name": "Growth", "email": "growth@example.com"}
    assert side.shell("bucket-loader exposures accounts.yaml -o ../dbt/models/exposures.yml --check")[0] == 0


def test_a_file_that_dbt_has_open_can_be_read_later(side):
    """A build that is under way is no mistake: 75, and nothing was sent."""
    file = str(side.project / "warehouse.duckdb")
    holds = f"import duckdb; held = duckdb.connect({file!r}); print(flush=True); input()"
    with subprocess.Popen(
        [str(DBT / "bin/python"), "-c", holds], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        holder.stdout.readline()
        words = "-e 's/, require: {max_age: 6h}//' accounts.yaml > free.yaml && bucket-loader rehearse free.yaml"
        code, text = side.shell(f"sed {words}")
        holder.kill()

    assert (code, "open in another program" in text) == (75, True)


@pytest.mark.postgres
def test_a_model_in_postgres_is_read_through_dbts_profile(side):
    """Host, port and password come from variables that profiles.yml refers to; nothing shows the password."""
    in_postgres("create schema if not exists analytics")
    variables = {"SHOP_TARGET": "server", "SHOP_PORT": str(postgres()), "SHOP_PASSWORD": PASSWORD}
    code, text = side.shell("cd ../dbt && dbt build", **variables)
    assert code == 0, text

    code, text = side.shell("bucket-loader rehearse accounts.yaml", **variables)
    assert (code, "3 companies" in text) == (0, True), text
    wrong = variables | {"SHOP_TARGET": "as_nobody", "DBT_ENV_SECRET_NOBODY": "wrong secret"}
    code, text = side.shell("bucket-loader rehearse accounts.yaml", **wrong)
    assert (code, "password authentication failed" in text, "wrong secret" in text) == (2, True, False)
