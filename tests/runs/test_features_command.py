"""`features list` and `features evaluate`: what is defined in Bucket, and which of it a company has."""

import json
import logging
import socket
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qsl, urlsplit

import pytest
from click.testing import CliRunner
from workplace import COMPANIES, KEY, served_by

from bucket_loader.cli.commands import main

PUBLISHABLE = "pub_test_0123456789"  # the emulator's


def rule(field, value):
    """Return a rule that one value of one field decides."""
    return {"filter": {"type": "context", "field": field, "operator": "IS", "values": [value]}}


ALWAYS = {"type": "constant", "value": True}
FEATURES = [
    {"key": "huddle", "description": "Calls, [bold]in\x1b[31m place[/bold]", "createdAt": "2024-05-01T00:00:00Z",
     "link": None, "targeting": {"version": 4, "rules": [rule("company.plan", "pro"), rule("user.role", "admin")]}},
    {"key": "export", "description": None, "createdAt": "2024-06-01T00:00:00Z", "link": None,
     "targeting": {"version": 1, "rules": [rule("company.id", "00123")]},
     "config": {"version": 2, "variants": [{"key": "big", "payload": {"rows": 9}, "filter": ALWAYS}]}},
]  # fmt: skip


@pytest.fixture
def place(workplace, emulator):
    """A workplace whose Bucket has two features."""
    emulator.call("PUT", "/_emulator/features", {"features": FEATURES})
    workplace.write("accounts.csv", "id,plan\n00123,pro\n")
    workplace.pipeline(COMPANIES)
    yield workplace
    emulator.call("PUT", "/_emulator/features", {"features": []})


def ask(place, word, *words, **variables):
    """Run `features WORD PIPELINE ...`; gives what click gives."""
    given = {"BUCKET_BASE_URL": place.url, "BUCKET_SECRET_KEY": place.key, "COLUMNS": "160"} | variables
    return CliRunner().invoke(main, ["features", word, str(place.folder / "pipeline.yaml"), *words], env=given)


@contextmanager
def answering(status, body, **headers):
    """Answer every GET the same for as long as the `with` lasts; gives the address, and the paths asked for."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(status)
            for name, value in {
                "Content-Type": "application/json",
                "Content-Length": str(len(body)),
                **headers,
            }.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            """Say nothing."""

    with served_by(Handler) as url:
        yield url, asked


# --- what is shown -------------------------------------------------------------------------------------------------


def test_list_shows_each_feature_as_it_is_defined(place):
    """One line a feature: version, rules, variants; text from Bucket neither styles nor steers the terminal."""
    result = ask(place, "list")

    (huddle,) = [line for line in result.stderr.splitlines() if "huddle" in line]
    (export,) = [line for line in result.stderr.splitlines() if "export" in line]
    assert (result.exit_code, result.stdout) == (0, "")
    assert [cell.strip() for cell in huddle.split("│")[1:-1]] == [
        "huddle", "4", "2", "", "2024-05-01T00:00:00Z", "Calls, [bold]in [31m place[/bold]",
    ]  # fmt: skip
    assert [cell.strip() for cell in export.split("│")[1:-1]][:4] == ["export", "1", "1", "1"]
    assert "\x1b" not in result.stderr


def test_list_prints_the_definitions_for_programs(place):
    """With `--json` the last line of stdout is one object, the definitions as the API spells them."""
    result = ask(place, "list", "--json")

    found = json.loads(result.stdout.splitlines()[-1])
    assert [one["key"] for one in found["features"]] == ["huddle", "export"]
    assert found["features"][0]["targeting"]["rules"] == FEATURES[0]["targeting"]["rules"]
    assert isinstance(found["flagStateVersion"], int)
    assert result.stderr == ""


def test_list_says_when_nothing_is_defined(place, emulator):
    """No empty table."""
    emulator.call("PUT", "/_emulator/features", {"features": []})

    result = ask(place, "list")

    assert (result.exit_code, result.stderr) == (0, "no feature is defined\n")


def test_evaluate_holds_the_features_against_what_is_given(place):
    """The company, the user and the attributes are the context; what is missing in it is named."""
    result = ask(place, "evaluate", "--company", "00123", "--attribute", "company.plan=basic")

    (huddle,) = [line for line in result.stderr.splitlines() if "huddle" in line]
    (export,) = [line for line in result.stderr.splitlines() if "export" in line]
    assert result.exit_code == 0
    assert [cell.strip() for cell in huddle.split("│")[1:-1]] == ["huddle", "no", "4", "no no", "", "user.role"]
    assert [cell.strip() for cell in export.split("│")[1:-1]] == ["export", "yes", "1", "yes", "big", ""]


def test_evaluate_uses_what_was_loaded(place):
    """After a run the company's own attributes decide, and the answer says that they were used."""
    before = ask(place, "evaluate", "--company", "00123", "--json")
    place.run()
    after, told = ask(place, "evaluate", "--company", "00123", "--json"), ask(place, "evaluate", "--company", "00123")

    found = [json.loads(result.stdout.splitlines()[-1]) for result in (before, after)]
    assert [one["features"]["huddle"]["isEnabled"] for one in found] == [False, True]
    assert [one["remoteContextUsed"] for one in found] == [False, True]
    assert "stored" in told.stderr


def test_evaluate_sends_every_word_of_the_context_as_it_is_written(place):
    """Signs that mean something in a URL, blanks, an empty text, an equals sign: all arrive as they were given."""
    words = {"company.plan": "a&b=c +%#?ü", "user.role": "", "other.x.y": "=1"}
    attributes = [word for name, text in words.items() for word in ("--attribute", f"{name}={text}")]
    with answering(200, b'{"success":true,"features":{},"remoteContextUsed":false}') as (url, asked):
        result = ask(place, "evaluate", "--company", "0 0/1", "--user", "u&1", *attributes, BUCKET_BASE_URL=url)

    parts = urlsplit(asked[0])
    assert (result.exit_code, parts.path) == (0, "/features/evaluated")
    assert dict(parse_qsl(parts.query, keep_blank_values=True)) == {
        f"context.{name}": text for name, text in {"company.id": "0 0/1", "user.id": "u&1", **words}.items()
    }


# --- what is refused -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--attribute", "plan"], "not name=text"),
        (["--attribute", "=pro"], "not name=text"),
        (["--attribute", "company..plan=pro"], "not name=text"),
        (["--attribute", ".plan=pro"], "not name=text"),
        (["--attribute", "company.id=2"], "given twice"),
        (["--attribute", "a.b=1", "--attribute", "a.b=2"], "given twice"),
        (["--user", " "], "--user is empty"),
        (["--attribute", "a.b=\udcff"], "not UTF-8"),
    ],
)
def test_a_malformed_context_is_a_mistake_of_the_command(place, words, said):
    """Exit 2 with a hint; nothing is asked."""
    with answering(200, b"{}") as (url, asked):
        result = ask(place, "evaluate", "--company", "1", *words, BUCKET_BASE_URL=url)

    assert result.exit_code == 2
    assert said in result.stderr
    assert "hint: " in result.stderr
    assert asked == []


def test_evaluate_needs_a_company(place):
    """Which company is the question."""
    result = ask(place, "evaluate")

    assert result.exit_code == 2
    assert "--company" in result.stderr


@pytest.mark.parametrize("word", [["list"], ["evaluate", "--company", "1"]])
@pytest.mark.parametrize("key", ["sec_wrong_0123456789abcdef01", PUBLISHABLE])
def test_a_key_that_is_not_taken_is_exit_5(place, word, key):
    """An unknown key nowhere; the publishable one may ask for evaluations, and not for definitions."""
    result = ask(place, *word, BUCKET_SECRET_KEY=key)

    takes = key == PUBLISHABLE and word[0] == "evaluate"
    assert result.exit_code == (0 if takes else 5), result.stderr
    assert takes or "secret key" in result.stderr
    assert key not in result.output


ANSWERS = {
    "html": (200, b"<html>", {"Content-Type": "text/html"}, 5), "404": (404, b"{}", {}, 5),
    "redirect": (302, b"", {"Location": "http://127.0.0.1:1/"}, 5), "500": (500, b"{}", {}, 75),
    "400": (400, b'{"success":false}', {}, 5), "429": (429, b"{}", {"Retry-After": "1"}, 75),
    "another form": (200, b'{"success":true,"features":[7]}', {}, 5), "no features": (200, b'{"success":true}', {}, 5),
}  # fmt: skip


@pytest.mark.parametrize("word", [["list"], ["evaluate", "--company", "1", "--attribute", "company.plan=canary"]])
@pytest.mark.parametrize("answer", ANSWERS)
def test_what_is_not_buckets_answer_is_told(place, caplog, word, answer):
    """Not Bucket is 5, not now is 75; the message has a hint, and neither key nor context."""
    caplog.set_level(logging.INFO)
    status, body, headers, code = ANSWERS[answer]
    with answering(status, body, **headers) as (url, _):
        result = ask(place, *word, "--json", BUCKET_BASE_URL=url)

    told = json.loads(result.stdout.splitlines()[-1])
    assert (result.exit_code, told["exit_code"]) == (code, code), result.stderr
    assert told["error"]["hint"]
    assert not [secret for secret in (KEY, "canary") if secret in result.output + caplog.text]


def test_nobody_there_is_75(place):
    """Run again later."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        result = ask(place, "list", BUCKET_BASE_URL=f"http://127.0.0.1:{free.getsockname()[1]}")

    assert result.exit_code == 75
    assert "start one: `bucket-loader emulator --port" in result.stderr


@pytest.mark.parametrize("api", ["front-legacy", "tracking-legacy"])
def test_the_older_apis_have_no_such_read(place, api):
    """A pipeline for them is told which one it needs; its key is not tried."""
    text = (place.folder / "pipeline.yaml").read_text("utf-8")
    place.write("pipeline.yaml", text.replace("  patience: 1s\n", f"  patience: 1s\n  api: {api}\n"))

    result = ask(place, "evaluate", "--company", "1", BUCKET_SECRET_KEY=PUBLISHABLE)

    assert result.exit_code == 2
    assert "`api: front`" in result.stderr
