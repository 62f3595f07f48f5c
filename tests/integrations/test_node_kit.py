"""`clients/node`, as suites of somebody else use it: in vitest and in jest, with the vendor's own SDK."""

import json
import re
import shutil
import subprocess
import sys
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import requests
from suites import DOCS, clean, examples, quickest
from tiers import CLIENTS

pytestmark = pytest.mark.clients
SAMPLE = DOCS / "testing" / "node"
KIT = DOCS.parent / "clients" / "node"
RUNNERS = ("vitest", "jest")
TYPES = """
import { startEmulator, type Sent } from "bucket-emulator";
import { ReflagClient as Server } from "@reflag/node-sdk";
import { ReflagClient as Browser } from "@reflag/browser-sdk";

const bucket = await startEmulator({ evaluation: "2026" });
const sent: Sent = await bucket.expect({ event: "ordered", user: 1, attributes: { amount: 4.5 } }, { withinMs: 10 });
new Server(bucket.options.node);
new Browser({ ...bucket.options.browser, user: { id: String(sent.item.userId) } });
// @ts-expect-error: no record has this word
await bucket.expect({ evnt: "ordered" });
// @ts-expect-error: on or off must be said
await bucket.flag("huddle", {});
"""
WAITS = """
import { startEmulator } from "bucket-emulator";
const emulator = await startEmulator({ strict: true, evaluation: "2026" });
const { url, secretKey, options } = emulator;
const second = await emulator.environment("second");
const headers = { Authorization: `Bearer ${secretKey}`, "Content-Type": "application/json" };
const body = JSON.stringify({ userId: "u1", attributes: { constructor: "x" } });
const { status } = await fetch(`${url}/user`, { method: "POST", headers, body });
console.log(JSON.stringify({ url, keys: [secretKey, second.secretKey], options, status }));
if (process.argv[2] === "stop") await emulator.stop();
if (process.argv[2] === "wait") setTimeout(() => {}, 60_000);
"""


@pytest.fixture
def project(tmp_path):
    """A project of somebody's, with what it has installed."""
    modules = tmp_path / "node_modules"
    modules.mkdir()
    for installed in (CLIENTS / "node_modules").iterdir():
        (modules / installed.name).symlink_to(installed)
    (modules / "bucket-emulator").symlink_to(KIT)
    shutil.copytree(SAMPLE, tmp_path, dirs_exist_ok=True)
    return tmp_path


def variables(**more):
    """Return what a program sees whose PATH leads to bucket-loader."""
    return clean(**more) | {"PATH": f"{Path(sys.executable).parent}:{clean()['PATH']}", "NO_COLOR": "1"}


def run(project, runner):
    """Run the tests of a project on two workers; return the exit code and what was said."""
    done = subprocess.run(["npm", "run", "--silent", runner], cwd=project, env=variables(), text=True, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)  # fmt: skip
    return done.returncode, done.stdout


def seconds(ended):
    """Return how long a runner says that it took."""
    found = re.search(r"^(?:Time:|\s*Duration) +([0-9.]+) ?(m?s)", ended[1], re.MULTILINE)
    return float(found[1]) / (1000 if found[2] == "ms" else 1)


@pytest.mark.parametrize("runner", RUNNERS)
def test_ten_tests_of_a_shop_run_on_two_workers(project, runner):
    """Beside each other, without sleeping, in less than five seconds."""
    code, said = quickest(lambda: run(project, runner), seconds)

    assert code == 0, said
    assert re.search(r"10 passed", said), said


@pytest.mark.parametrize("runner", RUNNERS)
def test_the_example_of_the_guide_runs(project, runner):
    """As it stands; the setup that it shows is the one of the sample."""
    for path in project.glob("*.test.js"):
        path.unlink()
    test, setup = examples("js")
    (project / "guide.test.js").write_text(test)

    code, said = run(project, runner)

    assert code == 0, said
    assert setup.partition("\n")[2] == (SAMPLE / "emulator.js").read_text("utf-8").partition("\n")[2]


def test_the_types_are_those_of_the_sdks_and_the_recipe_is_compiled(project):
    """The options fit; what is wrong is an error; the recipe for testcontainers has the types of the library."""
    (recipe,) = examples("ts")
    (project / "recipe.ts").write_text(recipe)
    (project / "types.ts").write_text(TYPES)
    options = {"strict": True, "noEmit": True, "module": "nodenext", "skipLibCheck": True, "types": ["node"]}
    (project / "tsconfig.json").write_text(json.dumps({"compilerOptions": options, "files": ["recipe.ts", "types.ts"]}))

    done = subprocess.run(["npx", "tsc", "-p", "."], cwd=project, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout) == (0, "")


@contextmanager
def started(project, word):
    """Start a program that starts an emulator and then stops it, ends, or waits; kill it at the end."""
    (project / "waits.js").write_text(WAITS)
    with subprocess.Popen(["node", "waits.js", word], cwd=project, env=variables(), stdout=subprocess.PIPE,
                          text=True) as program:  # fmt: skip
        try:
            yield program
        finally:
            program.kill()


def answers(url):
    """Whether something listens there."""
    with suppress(requests.ConnectionError):
        return bool(requests.get(f"{url}/_emulator/state", timeout=10))
    return False


DEFINES = """
import { startEmulator } from "bucket-emulator";
const keys = async ({ url, secretKey }) => {
  const answer = await fetch(`${url}/features`, { headers: { Authorization: `Bearer ${secretKey}` } });
  return (await answer.json()).features.map(({ key }) => key);
};
const features = { features: [{ key: "huddle", targeting: { version: 1, rules: [] } }] };
const first = await startEmulator({ features });
const second = await first.environment();
await first.define([]);
const seen = [await keys(first), await keys(second)];
const saved = await second.snapshot();
await first.reset();
await second.define([]);
await second.restore(saved);
seen.push(await keys(second));
await fetch(`${first.url}/event`, { method: "POST", headers: { Authorization: "Bearer nobody" } });
console.log(JSON.stringify({ seen, again: await keys(first), told: await first.told() }));
await first.stop();
"""


def test_features_are_there_again_after_a_reset_and_a_key_of_nobody_is_told(project):
    """Each environment has them; what one defines is its own, and a snapshot brings it back."""
    (project / "defines.js").write_text(DEFINES)

    done = subprocess.run(["node", "defines.js"], cwd=project, env=variables(), capture_output=True, text=True,
                          check=False)  # fmt: skip

    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["seen"], found["again"]) == ([[], ["huddle"], ["huddle"]], ["huddle"])
    assert "since nobody has this key:\nrequest 1: 401 POST /event: " in found["told"]


@pytest.mark.parametrize("word", ["stop", "end"])
def test_the_emulator_ends_with_its_program(project, word):
    """Without `stop` too the program ends, and then the emulator does. Keys and options are as they should be."""
    with started(project, word) as program:
        told = json.loads(program.stdout.readline())
        assert program.wait() == 0

    url, keys = told["url"], told["keys"]
    assert len(set(keys)) == 2
    assert told["options"]["node"] == {
        "secretKey": keys[0], "apiBaseUrl": url, "flagsPushUrl": f"{url}/sse/server", "offline": False
    }  # fmt: skip
    assert told["status"] == 400, "it is a strict one"
    assert told["options"]["react"].items() >= {"apiBaseUrl": url, "sseBaseUrl": url}.items()
    while answers(told["url"]):
        pass


def test_the_emulator_ends_with_a_program_that_is_killed(project):
    """Its stdin ends then."""
    with started(project, "wait") as program:
        told = json.loads(program.stdout.readline())
        assert answers(told["url"])

    while answers(told["url"]):
        pass


@pytest.mark.parametrize(
    ("options", "said"),
    [('{ command: ["bucket-loadr"] }', "bucket-loadr cannot be started (pip install bucket-loader)"),
     ('{ command: ["sh", "-c", "echo hello"] }', "sh does not start an emulator, it says: hello"),
     ('{ url: "http://127.0.0.1:9" }', "no emulator answers at http://127.0.0.1:9/_emulator/environments: "),
     ('{ url: "localhost:8123" }', "start one with `bucket-loader emulator`, or unset BUCKET_EMULATOR_URL")],
)  # fmt: skip
def test_what_is_no_emulator_is_named(project, options, said):
    """The message says what to do."""
    words = f'import("bucket-emulator").then(({{ startEmulator }}) => startEmulator({options}))'

    done = subprocess.run(["node", "-e", words], cwd=project, env=variables(), capture_output=True, text=True,
                          check=False)  # fmt: skip

    assert done.returncode == 1
    assert said in done.stderr
