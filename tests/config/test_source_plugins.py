"""A source type of another package: that of its page in the docs is installed, tested and used as it stands there."""

import json
import os
import re
import subprocess
import sys
import tomllib

import pytest
from tiers import RELEASE, ROOT

PAGE = (ROOT / "docs" / "how-to" / "source-plugin.md").read_text("utf-8")
PROGRAM = [sys.executable, "-m", "bucket_loader"]
PIPELINE = re.search(r"```yaml\n(.*?)```", PAGE, re.DOTALL)[1]


def files():
    """Return the files that the page shows, by their names."""
    return dict(re.findall(r"```\w+\n# (\S+\.\w+)\n(.*?)```", PAGE, re.DOTALL))


def installed(folder, name, version, entries, **modules):
    """Lay out an installed package, as pip does."""
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    lines = [f"{type_} = {value}\n" for type_, value in entries.items()]
    (info / "entry_points.txt").write_text("[bucket_loader.sources]\n" + "".join(lines))
    for module, text in modules.items():
        (folder / f"{module}.py").write_text(text)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A folder of packages: that of the page, one that cannot be imported, two of one name, and one that takes ours."""
    folder = tmp_path_factory.mktemp("site")
    project = tomllib.loads(files()["pyproject.toml"])["project"]
    module = files()["bucket_loader_fixed_width.py"]
    entries = project["entry-points"]["bucket_loader.sources"]
    installed(folder, project["name"], project["version"], entries, bucket_loader_fixed_width=module)
    installed(folder, "acme-broken", "2.0", {"broken": "acme_broken:SOURCE"}, acme_broken="import not_there")
    installed(folder, "acme-odd", "3.1", {"odd": "acme_odd:SOURCE"}, acme_odd="SOURCE = 'a text'")
    installed(folder, "acme-one", "1.0", {"twice": "acme_odd:SOURCE"})
    installed(folder, "acme-two", "1.0", {"twice": "acme_odd:SOURCE", "csv": "acme_odd:SOURCE"})
    return folder


@pytest.fixture
def boats(tmp_path):
    """The pipeline file of the page, with two boats."""
    (tmp_path / "boats.yaml").write_text(PIPELINE)
    (tmp_path / "boats.fwf").write_text("00123   Amina\n00124   Tidewick 2\n")
    return tmp_path


def called(site, folder, *words, program=PROGRAM, **more):
    """Run a program beside the packages."""
    variables = {**os.environ, "PYTHONPATH": str(site), "COLUMNS": "200", "BUCKET_SECRET_KEY": "", **more}
    return subprocess.run([*program, *words], cwd=folder, env=variables, capture_output=True, text=True, check=False)


def passed(site, folder):
    """Run the tests in a folder, as the author of the package does."""
    words = ("-q", "-p", "no:cacheprovider", "-p", "no:schemathesis")
    return called(site, folder, *words, program=[sys.executable, "-m", "pytest"])


def test_the_tests_of_the_page_pass(site, tmp_path):
    """The conformance suite runs in the author's own pytest."""
    (tmp_path / "test_fixed_width.py").write_text(files()["test_fixed_width.py"])

    done = passed(site, tmp_path)

    assert "7 passed" in done.stdout, done.stdout


def test_a_source_that_breaks_a_promise_fails_the_suite(site, tmp_path):
    """And the failure shows both values: asserts of the suite are rewritten as those of a test file."""
    (tmp_path / "test_fixed_width.py").write_text(
        files()["test_fixed_width.py"].replace(
            "return open_source", "(folder / 'data.fwf').write_text(''.join(lines[1:])); return open_source"
        )
    )

    done = passed(site, tmp_path)

    assert "FAILED test_fixed_width.py::TestFixedWidth::test_rows_and_numbers" in done.stdout
    assert "At index 0 diff" in done.stdout or "Differing items" in done.stdout


def test_a_pipeline_loads_from_it(site, boats):
    """And `init` knows its files by their ends."""
    done = called(site, boats, "rehearse", "boats.yaml", "--json")

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["streams"]["boats"]["delivered"] == 2


@pytest.mark.release
def test_the_package_of_the_page_is_built_and_installed(boats, tmp_path):
    """Its own build makes the wheel, and what an installer puts down is found."""
    source, site = tmp_path / "package", tmp_path / "installed"
    source.mkdir()
    for name, text in files().items():
        (source / name).write_text(text)
    tools = RELEASE / "bin"
    build = [tools / "python", "-m", "build", "--no-isolation", "--wheel", "--outdir", tmp_path / "dist", source]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = (tmp_path / "dist").iterdir()
    install = [
        tools / "uv",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--python",
        sys.executable,
        "--target",
        site,
        wheel,
    ]
    subprocess.run(install, check=True, capture_output=True)

    done = called(site, boats, "rehearse", "boats.yaml", "--json")

    assert json.loads(done.stdout.splitlines()[-1])["streams"]["boats"]["delivered"] == 2, done.stderr


def test_a_fixture_stands_for_it(site, boats):
    """Its own file is not read then."""
    (boats / "other.csv").write_text("id,name\n7,Other\n")
    (boats / "boats.fwf").unlink()

    done = called(site, boats, "rehearse", "boats.yaml", "--source", "boats=other.csv", "--json")

    assert json.loads(done.stdout.splitlines()[-1])["streams"]["boats"]["delivered"] == 1, done.stderr


@pytest.mark.parametrize(
    ("type_", "said"),
    [
        ("fixed_width, widht: 1", "`widht` is not known here"),
        ("fixd_width", "did you mean `fixed_width`?"),
        ("broken", "`type: broken` comes with acme-broken 2.0, which cannot be imported: ModuleNotFoundError: "),
        ("odd", "`type: odd` comes with acme-odd 3.1, whose 'acme_odd:SOURCE' is no SourceType of that name"),
        ("twice", "`type: twice` is offered by several packages: acme-one 1.0 and acme-two 1.0"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_at_its_line(site, boats, type_, said):
    """Those of the file with what was meant, those of a package with its name and version."""
    (boats / "boats.yaml").write_text(PIPELINE.replace("type: fixed_width", f"type: {type_}"))

    done = called(site, boats, "check", "boats.yaml", "--json")

    assert done.returncode == 2
    assert said in done.stderr
    assert re.search(r"boats\.yaml:8:\d+: streams\[0\]\.source", done.stderr)


def test_a_package_that_is_not_used_is_in_nobodys_way(site, boats):
    """A pipeline over another type runs; what is wrong with the others is told with the schema."""
    (boats / "boats.csv").write_text("id,name\n7,Other\n")
    (boats / "boats.yaml").write_text(re.sub(r"source: \{.*\}", "source: {type: csv, path: boats.csv}", PIPELINE))

    checked, schema = called(site, boats, "check", "boats.yaml"), called(site, boats, "schema")

    assert "acme-broken" not in checked.stderr + checked.stdout
    assert "`type: csv` is one of bucket_loader's own: what acme-two 1.0 offers as such is not used" in checked.stderr
    shown = list(_objects(json.loads(schema.stdout)))
    found = [one for one in shown if one.get("properties", {}).get("type", {}).get("const") == "fixed_width"]
    assert [one["properties"]["columns"]["type"] for one in found] == ["object", "object"]  # named, and of a stream
    assert all(one["additionalProperties"] is False for one in found)
    assert "left out: `type: broken` comes with acme-broken 2.0" in schema.stderr


def _objects(node):
    """Yield every object in a schema."""
    if isinstance(node, dict):
        yield node
    for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from _objects(child)


def test_a_secret_of_its_model_is_never_shown(site, boats):
    """It is found among the words as those of our own sources are."""
    module = site / "acme_secret.py"
    module.write_text(
        files()["bucket_loader_fixed_width.py"]
        .replace("fixed_width", "secretive").replace("bucket_loader_secretive", "acme_secret")
        .replace("    path: str\n", "    path: str\n    password: SecretStr\n")
        .replace("from typing", "from pydantic import SecretStr\nfrom typing")
        .replace("cannot read", "{self.spec.password.get_secret_value()} cannot read")
    )  # fmt: skip
    info = site / "acme_secret-1.0.dist-info"
    if not info.exists():
        installed(site, "acme-secret", "1.0", {"secretive": "acme_secret:SOURCE"})
    (boats / "boats.yaml").write_text(
        PIPELINE.replace("type: fixed_width", "type: secretive, password: '${PASSWORD}'").replace(
            "boats.fwf", "gone.fwf"
        )
    )

    done = called(site, boats, "rehearse", "boats.yaml", "--log-format", "json", PASSWORD="tr0ub4dor")

    assert done.returncode == 2
    assert "*** cannot read gone.fwf" in done.stderr
    assert "tr0ub4dor" not in done.stderr + done.stdout


def test_no_start_looks_for_packages(site, boats):
    """Help and a pipeline over our own types read no entry points."""
    code = (
        "import sys; from pathlib import Path; import importlib.metadata as m\n"
        "real = m.entry_points\n"
        "m.entry_points = lambda group: 1 / 0 if group == 'bucket_loader.sources' else real(group=group)\n"
        "import bucket_loader.cli; from bucket_loader.config import load_pipeline\n"
        "print(len(load_pipeline(Path('ours.yaml'), variables={'BUCKET_SECRET_KEY': 'sec_' + 'x' * 24}).streams))"
    )
    (boats / "ours.yaml").write_text(re.sub(r"source: \{.*\}", "source: {type: csv, path: boats.csv}", PIPELINE))

    assert called(site, boats, "-c", code, program=[sys.executable]).stdout == "1\n"
