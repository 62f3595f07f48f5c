"""docs/testing.md against what it describes: each example is run, or compiled where it needs Docker."""

import re
import shutil
import subprocess
import sys

import pytest
from suites import DOCS, PLUGIN, examples, guide, quickest, suite
from tiers import IMAGES

from bucket_loader.integrations.pytest import Bucket

SAMPLE = DOCS / "testing" / "python"


def test_every_word_of_the_fixture_is_in_the_guide():
    """None is missing, and none is made up."""
    named = set(re.findall(r"bucket\.([a-z_]+)", "".join(guide().partition("## Node")[0])))
    there = {name for name in dir(Bucket) if not name.startswith("_")} | set(Bucket.__annotations__)

    assert named >= there - {"told"}
    assert named - {"expect"} <= there | {"publishable_key", "secret_key", "url"}


def test_the_examples_for_pytest_do_what_the_guide_says(pytester, bucket, monkeypatch):
    """The first passes. The second fails with the text that is shown."""
    monkeypatch.setenv("BUCKET_EMULATOR_URL", bucket.url)
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTEST_PLUGINS", PLUGIN)
    shutil.copy(SAMPLE / "shop.py", pytester.path)
    first, second, _ = examples("python")
    (text,) = examples("text")
    pytester.makepyfile(test_guide=f"{first}\n\n{second}")

    done = pytester.runpytest()

    done.assert_outcomes(passed=1, failed=1)
    said = done.stdout.str()
    assert [line for line in text.splitlines() if line not in said] == []


def seconds(said):
    """Return how long pytest says that it took."""
    return float(re.search(r" in ([0-9.]+)s", said)[1])


@pytest.mark.kit
def test_ten_tests_of_a_shop_run_on_two_workers(tmp_path):
    """Beside each other, without sleeping, in less than five seconds."""
    folder = shutil.copytree(SAMPLE, tmp_path / "shop")

    def run():
        with suite(folder, "-n", "2") as session:
            return session.communicate()[0]

    said = quickest(run, seconds)

    assert "10 passed" in said, said
    assert not [path for path in SAMPLE.glob("*.py") if "sleep" in path.read_text("utf-8")]


@pytest.mark.image
def test_the_recipe_for_testcontainers_in_python_has_the_types_of_the_library(tmp_path):
    """A type checker finds no fault in it, and one in a wrong word."""
    recipe = examples("python")[-1]
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file", "", "--python-executable",
               IMAGES / "bin/python", "-c"]  # fmt: skip

    def check(text):
        return subprocess.run([*command, text], capture_output=True, text=True, check=False, cwd=tmp_path)

    right, wrong = check(recipe), check(recipe.replace("HttpWaitStrategy(8123", 'HttpWaitStrategy("8123"'))

    assert right.returncode == 0, right.stdout
    assert wrong.returncode == 1
    subprocess.run([IMAGES / "bin/python", "-c", recipe], check=True)  # its imports are there
