"""The docs: what they say of the code is held against the code."""

import importlib.util
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import publish
import pytest
from click.testing import CliRunner

from bucket_loader.cli.commands import EXIT_CODES, main
from bucket_loader.config.assert_file import load_assertions
from bucket_loader.config.destination import Destination
from bucket_loader.config.stream import Stream
from bucket_loader.config.yaml_file import load_pipeline

ROOT = Path(__file__).parents[1]
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "docs" / "how-to").rglob("*.md")]


def docs_maker():
    """Load `docs/make.py`."""
    spec = importlib.util.spec_from_file_location("docs_make", ROOT / "docs" / "make.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("page", ["cli.md", "delivery.md", "errors.md", "pipeline.schema.json", "assert.schema.json"])
def test_a_generated_page_is_what_the_code_says_now(page):
    """`python docs/make.py` would change nothing."""
    assert (ROOT / "docs" / page).read_text("utf-8") == docs_maker().PAGES[page]()


@pytest.mark.parametrize("page", ["README.md", "docs/scheduling.md"])
def test_a_page_and_the_help_tell_the_same_exit_codes(page):
    """Every exit code of `--help` stands in the page's table, in the same words."""
    readme = (ROOT / page).read_text("utf-8").replace("`", "")
    missing = [
        code for code, text in EXIT_CODES.items() if f"| {code} | {text.split(';')[0].replace('`', '')}" not in readme
    ]

    assert missing == []


def test_the_readmes_first_pipeline_is_a_valid_one(tmp_path):
    """The YAML of the README can be loaded as it stands."""
    (yaml,) = re.findall(r"```yaml\n(.+?)```", (ROOT / "README.md").read_text("utf-8"), flags=re.DOTALL)
    file = tmp_path / "first.yaml"
    file.write_text(yaml)

    pipeline = load_pipeline(file, variables={"BUCKET_SECRET_KEY": "sec_0123456789abcdef012345"})

    assert [stream.record for stream in pipeline.streams] == ["company"]


def test_the_assert_file_of_its_page_is_a_valid_one(tmp_path):
    """The YAML of docs/testing-pipelines.md loads as it stands, and `schema --assert` prints its schema."""
    (yaml,) = re.findall(r"```yaml\n(.+?)```", (ROOT / "docs" / "testing-pipelines.md").read_text("utf-8"), re.DOTALL)
    file = tmp_path / "t.assert.yml"
    file.write_text(yaml)

    assert sorted(load_assertions(file).expected.features) == ["huddle"]
    printed = CliRunner().invoke(main, ["schema", "--assert"]).output
    assert printed == (ROOT / "docs" / "assert.schema.json").read_text("utf-8")


@pytest.mark.parametrize("name", sorted(main.commands))
def test_every_command_has_help_with_an_example(name):
    """`--help` of each command ends well and shows how it is called."""
    result = CliRunner().invoke(main, [name, "--help"])

    assert result.exit_code == 0
    assert re.search(rf"Examples?:\s+bucket-loader {name}", result.output)


@pytest.mark.parametrize("model", [Destination, Stream])
def test_every_word_of_the_pipeline_file_is_documented(model):
    """The page about the pipeline file names each word of a destination and of a stream."""
    page = (ROOT / "docs" / "pipeline-file.md").read_text("utf-8")

    assert [name for name in model.model_fields if f"`{name}`" not in page] == []


def navigation(found):
    """Return the pages of a navigation, in its order."""
    for item in found:
        for value in item.values():
            yield from navigation(value) if isinstance(value, list) else [value]


def test_every_page_has_its_place_in_the_navigation(tmp_path):
    """Each page of docs/ stands in the navigation once, and what stands there is a page."""
    publish.gather(tmp_path)
    settings = tomllib.loads((tmp_path / "zensical.toml").read_text("utf-8"))
    listed = list(navigation(settings["project"]["nav"]))
    pages = {file.relative_to(tmp_path / "pages").as_posix() for file in (tmp_path / "pages").rglob("*.md")}

    assert len(listed) == len(set(listed))
    assert set(listed) - pages == set()
    assert {page for page in pages if not page.startswith("project/")} - set(listed) == set()


def test_links_between_the_pages_lead_somewhere():
    """Every relative link in the README and the docs names a file that exists."""
    broken = [
        f"{page.name}: {target}"
        for page in PAGES
        for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", page.read_text("utf-8"))
        if not (page.parent / target).exists()
    ]

    assert broken == []


def test_a_file_that_a_page_names_is_there():
    """A file of the project, or of the package, that a page names in code letters exists."""
    missing = [
        f"{page.name}: {name}"
        for page in PAGES
        for name in re.findall(r"`(\w+/[\w/]*\w\.(?:pyi?|c))`", page.read_text("utf-8"))
        if not any((folder / name).exists() for folder in (ROOT, ROOT / "bucket_loader"))
    ]

    assert missing == []


@pytest.mark.parametrize("statement", ["import bucket_loader", "from bucket_loader.cli import main"])
def test_nothing_heavy_is_imported_before_it_is_needed(statement):
    """`--help` and `import bucket_loader` start without pandas, pyarrow, duckdb or requests."""
    script = (
        f"import sys; {statement}; print([m for m in ('pandas', 'pyarrow', 'duckdb', 'requests') if m in sys.modules])"
    )

    printed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout

    assert printed.strip() == "[]"
