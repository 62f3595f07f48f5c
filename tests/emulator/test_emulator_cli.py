"""The vendor's command line, from the npm registry and unmodified, against the emulator.

It also asks the npm registry whether there is a newer one, and goes on without an answer.
"""

import json
import os
import subprocess

import pytest
from emulator_api import SECRET, Api
from tiers import CLIENTS

pytestmark = pytest.mark.clients
PROGRAM = CLIENTS / "node_modules" / "@reflag" / "cli" / "dist" / "index.js"
SAID_FIRST = "API key supplied. Using it instead of normal personal authentication."
FEATURES = {
    "features": [
        {
            "key": "huddle",
            "name": "Huddle",
            "targeting": {"version": 1, "rules": []},
            "config": {
                "version": 1,
                "variants": [{"key": "b", "payload": {"seats": 3}, "filter": {"type": "constant", "value": True}}],
            },
        },
        {"key": "dull-one", "targeting": {"version": 1, "rules": []}},
    ]
}


class CommandLine:
    """Runs the program in a folder of its own, with a home of its own."""

    def __init__(self, api: Api, folder) -> None:
        self.api = api
        self.folder = folder
        (folder / "package.json").write_text("{}")  # it writes its types beside the nearest one
        self.app = api.get("/api/bootstrap").json()["org"]["apps"][0]["id"]

    def run(self, *words, key=SECRET):
        """Run it to its end, well or ill."""
        env = {**os.environ, "HOME": str(self.folder), "REFLAG_API_KEY": key, "NO_COLOR": "1"}
        return subprocess.run(
            ["node", PROGRAM, "--base-url", self.api.url, *words],
            cwd=self.folder, env=env, timeout=60, capture_output=True, text=True, check=False,
        )  # fmt: skip

    def told(self, *words):
        """Run it well and without a warning; return what it told on stdout, without what it always says."""
        done = self.run(*words)
        assert done.returncode == 0, done.stderr
        assert all(line[0] in "-✔" for line in done.stderr.splitlines() if line), done.stderr
        first, *rest = done.stdout.splitlines()
        assert first == SAID_FIRST
        assert self.api.state()["refused"] == 0
        return " ".join(" ".join(rest).split())


@pytest.fixture
def command_line(api: Api, tmp_path):
    """Return the program, for an emulator with two flags."""
    assert api.put("/_emulator/features", FEATURES).status_code == 200
    return CommandLine(api, tmp_path)


def test_it_lists_apps_and_flags(command_line):
    """The key's one app, and its flags by key."""
    apps, flags = command_line.told("apps", "list"), command_line.told("flags", "list", "-a", command_line.app)

    assert f"'main' │ '{command_line.app}' │ false" in apps
    assert flags.index("dull-one") < flags.index("'Huddle' │ 'huddle'")


def test_it_creates_a_flag_that_can_be_changed_then(command_line):
    """The flag is there, off for everybody, under the name that was given; a second one of its key is refused."""
    words = ("flags", "create", "My flag", "--key", "my-flag", "-a", command_line.app)

    assert "Creating flag for app main" in command_line.told(*words)

    features = {one["key"]: one for one in command_line.api.get("/features").json()["features"]}
    assert features["my-flag"].items() >= {"name": "My flag", "targeting": {"version": 1, "rules": []}}.items()
    again = command_line.run(*words)
    assert again.returncode == 1
    assert "There is a flag with this key already" in again.stderr


@pytest.mark.parametrize("form", ["react", "node"])
def test_it_generates_types(command_line, form):
    """Each flag has its type, and its config the type of its payloads."""
    command_line.told("flags", "types", "-a", command_line.app, "-o", "gen/flags.d.ts", "-f", form)

    types = (command_line.folder / "gen" / "flags.d.ts").read_text()
    assert f'declare module "@reflag/{form}-sdk"' in types
    assert '"dull-one": boolean;' in types
    assert "huddle: { config: { payload: HuddleConfigPayload } };" in types
    assert "seats: number" in types


def test_it_takes_its_settings_from_a_file(command_line):
    """`new` makes a flag and writes the types, with no question asked."""
    url = command_line.api.url
    settings = {"appId": command_line.app, "baseUrl": url, "apiUrl": f"{url}/api"}
    (command_line.folder / "reflag.config.json").write_text(json.dumps(settings))

    command_line.told("new", "Newest", "--key", "newest")

    assert "newest: boolean;" in (command_line.folder / "gen" / "flags.d.ts").read_text()


@pytest.mark.parametrize(
    ("key", "error"), [("sec_other", "is not valid"), ("", "Failed to fetch OAuth server metadata")]
)
def test_without_the_key_it_ends(command_line, key, error):
    """A wrong key is refused; without one it would log in with a browser, which is not served."""
    done = command_line.run("apps", "list", key=key)

    assert done.returncode == 1
    assert error in done.stderr
