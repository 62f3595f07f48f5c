import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from emulator_api import PUBLISHABLE, SECRET, Api

from bucket_loader.emulator.http.app import API, LEGACY
from bucket_loader.emulator.http.control import ALL, CONTROL
from bucket_loader.emulator.http.management import MANAGEMENT
from bucket_loader.emulator.http.server import running
from bucket_loader.emulator.management.definitions import identifier

EXAMPLES = int(os.environ.get("BUCKET_LOADER_SCHEMATHESIS_EXAMPLES", "1"))
THOROUGH = EXAMPLES > 1
# By their names: what changes how all calls are answered; and the ways to what has another way as well.
CHANGING = r"(PUT|POST) .*/(faults|snapshot|reset)$"
LEFT_OUT = f"{CHANGING}|GET /sse/"  # a stream has no end
REPEATED = r" /\{key\}/(company|event|feedback|features)|\{environment\}/"
SCHEMATHESIS = Path(sys.executable).with_name("schemathesis")
USER = {"type": "user", "userId": "u"}


def operations(document):
    """Return every path and method that a description names."""
    return {(path, method.upper()) for path, methods in document["paths"].items() for method in methods}


def test_the_description_and_the_routes_are_the_same(api: Api):
    """Every route that is served is described, and nothing that is not."""
    served = {(path, method) for path, methods in API.items() for method in methods}
    served |= {(path, method) for path, methods in MANAGEMENT.items() for method in methods}
    served |= {(f"/{{key}}{path}", method) for path, methods in LEGACY.items() for method in methods}
    for prefix, table in (("", ALL | CONTROL), ("/environments/{environment}", CONTROL)):
        served |= {
            (f"/_emulator{prefix}{path.replace(':path', '')}", method)
            for path, methods in table.items()
            for method in methods
        }

    document = api.get("/_emulator/openapi.json").json()

    assert document["openapi"].startswith("3.1")
    assert operations(document) == served | {("/", "GET")}


def test_the_limits_come_from_the_contract(api: Api):
    """A limit stands in the description as the contract states it; `type` is asked for in /bulk alone."""
    schemas = api.get("/_emulator/openapi.json").json()["components"]["schemas"]

    feedback = schemas["AcceptedFeedback"]

    assert feedback["properties"]["comment"]["anyOf"][0] == {"type": "string", "minLength": 1, "maxLength": 4000}
    assert feedback["required"] == ["userId"]
    assert set(feedback["properties"]["source"]["anyOf"][0]["enum"]) == {"api", "manual", "prompt", "sdk", "widget"}


def test_every_reference_leads_somewhere(api: Api):
    """No schema is named that is not there."""
    text = api.get("/_emulator/openapi.json").text
    schemas = json.loads(text)["components"]["schemas"]

    named = {part.partition('"')[0] for part in text.split('"#/components/schemas/')[1:]}

    assert named
    assert named <= set(schemas)


RUNS = [("api", ["--exclude-name-regex", LEFT_OUT if THOROUGH else f"{LEFT_OUT}|{REPEATED}"])]
if THOROUGH:
    RUNS.append(("faults", ["--include-name-regex", CHANGING]))


@pytest.mark.schemathesis
@pytest.mark.parametrize(("what", "chosen"), RUNS)
def test_it_does_what_its_description_says(tmp_path, what, chosen):
    """Schemathesis finds no 5xx, no undescribed answer, nothing valid refused and nothing invalid accepted.

    Faults are tried apart from the API, whose answers they change; streams are not, as they have no end.
    BUCKET_LOADER_SCHEMATHESIS_EXAMPLES sets how many cases are made up for each operation beside those that follow from
    the description (1 by default; from 2 on, the other legacy paths and orders of faults are tried too).
    """
    config = tmp_path / "schemathesis.toml"
    config.write_text(
        f'parameters."path.key" = "{PUBLISHABLE}"\n'
        'parameters."query.wait" = "10ms"\n'  # a minute is right too, and long
        'parameters."path.environment" = "main"\n'
        f'parameters."path.appId" = "{identifier("ap", "main")}"\n'
        f'parameters."path.envId" = "{identifier("en", "main")}"\n'
        f'parameters."query.envId" = "{identifier("en", "main")}"\n'
        # Two features of one key are refused, which a schema cannot say; and 3.0 is an integer to JSON Schema.
        '[[operations]]\ninclude-name-regex = "PUT .*/features(/.key.)?$"\n'
        "checks.positive_data_acceptance.enabled = false\n"
        # Nor can it say that a flag of this key is there already, or can be opted into.
        '[[operations]]\ninclude-name-regex = "POST /(api/|flags/opt-in)"\n'
        "checks.positive_data_acceptance.enabled = false\n"
        # So are these; and what the body of a saved call is, depends on its type.
        '[[operations]]\ninclude-name-regex = "PUT .*/(faults|snapshot|rejected)$"\n'
        "checks.positive_data_acceptance.enabled = false\n"
    )
    with running(secret_key=SECRET, publishable_key=PUBLISHABLE) as endpoint:
        api = Api(endpoint)
        with api.session:
            api.post("/bulk", [USER])

            tried = subprocess.run(
                [SCHEMATHESIS, "--config-file", config, "run", f"{endpoint.url}/_emulator/openapi.json",
                 "--header", f"Authorization: Bearer {SECRET}", "--max-examples", str(EXAMPLES),
                 "--seed", "1", "--no-shrink", "--phases", "coverage,fuzzing", "--warnings", "off", *chosen],
                cwd=tmp_path, capture_output=True, text=True, check=False, timeout=200,
            )  # fmt: skip

            assert tried.returncode == 0, tried.stdout
            assert "Failures" not in tried.stdout
            assert api.get("/_emulator/state").status_code == 200, what
