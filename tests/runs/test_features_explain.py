"""`features evaluate --explain`: all of it from an emulator, and from the real API what follows from its answer."""

import json
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from urllib.parse import urlsplit

import pytest
from click.testing import CliRunner
from workplace import COMPANIES, served_by

from bucket_loader.cli.commands import main


def is_(field, value):
    """Return a condition."""
    return {"type": "context", "field": field, "operator": "IS", "values": [value]}


BOTH = {"type": "group", "operator": "and", "filters": [is_("company.plan", "pro"), is_("user.role", "admin")]}
FEATURES = [
    {"key": "huddle", "targeting": {"version": 4, "rules": [{"filter": BOTH}, {"filter": is_("company.id", "00123")}]}},
    {"key": "export", "targeting": {"version": 1, "rules": []}},
]


@pytest.fixture
def place(workplace, emulator):
    """A workplace whose Bucket has two features and a company."""
    emulator.call("PUT", "/_emulator/features", {"features": FEATURES})
    workplace.write("accounts.csv", "id,plan\n00123,pro\n")
    workplace.pipeline(COMPANIES)
    workplace.run()
    yield workplace
    emulator.call("PUT", "/_emulator/features", {"features": []})


def explain(place, *words, url=None):
    """Ask why; return what click returns."""
    given = {"BUCKET_BASE_URL": url or place.url, "BUCKET_SECRET_KEY": place.key, "COLUMNS": "160"}
    command = ["features", "evaluate", str(place.folder / "pipeline.yaml"), "--company", "00123", "--explain", *words]
    return CliRunner().invoke(main, command, env=given)


@contextmanager
def api(**answers):
    """Serve what the real API answers, by path; every other path is its 404."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            found = answers.get(urlsplit(self.path).path.rpartition("/")[2])
            body = json.dumps(found or {"success": False}).encode()
            self.send_response(200 if found else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            """Say nothing."""

    with served_by(Handler) as url:
        yield url


def real(results, **more):
    """Return what the real API answers of the two features."""
    huddle = {"key": "huddle", "isEnabled": True in results, "ruleEvaluationResults": results, **more}
    return {
        "features": {"success": True, "features": FEATURES},
        "evaluated": {"success": True, "features": {"huddle": huddle}},
    }


def test_an_emulator_tells_every_value(place):
    """The stored attributes are met by the rules, and each condition has its mark, also what was not asked."""
    result = explain(place, "--user", "u1")

    assert result.exit_code == 0, result.output
    assert result.stderr.splitlines() == [
        "huddle is on: rule 2 matches",
        "    rule 1 does not match",
        "      ✗ all of these",
        '        ✓ company.plan is pro: it is "pro"',
        "        ✗ user.role is admin: The context has no field user.role",
        "    rule 2 matches",
        '      ✓ company.id is 00123: it is "00123"',
        "export is off: it has no rules",
    ]


def test_programs_read_the_same_tree(place):
    """With `--json` the last line is one object, and says that it is complete."""
    found = json.loads(explain(place, "--json").stdout.splitlines()[-1])

    assert found["isComplete"] is True
    huddle, export = found["explanations"]
    assert (huddle["isEnabled"], huddle["because"], huddle["rules"][1]["matches"]) == (True, "rule 2 matches", True)
    assert huddle["rules"][0]["condition"]["conditions"][0]["value"] == "pro"
    assert (export["isEnabled"], export["rules"]) == (False, [])


def test_of_another_environment_it_tells_that_one(place, emulator):
    """The key decides which environment of an emulator is asked, as for every other call."""
    other = {"name": "other", "secretKey": "sec_other_0123456789abcdef"}
    emulator.call("POST", "/_emulator/environments", other)
    place.key = other["secretKey"]

    found = json.loads(explain(place, "--json").stdout.splitlines()[-1])

    emulator.call("DELETE", "/_emulator/environments/other")
    assert found["explanations"] == []


def test_the_api_tells_what_follows_from_its_results(place):
    """A rule that matches says that all its conditions hold; values are told where they were given."""
    with api(**real([True, False])) as url:
        result = explain(place, "--attribute", "company.plan=pro", url=url)

    assert result.stderr.splitlines() == [
        "huddle is on: rule 1 matches",
        "    rule 1 matches",
        "      ✓ all of these",
        '        ✓ company.plan is pro: it is "pro"',
        "        ✓ user.role is admin",
        "    rule 2 does not match",
        '      ✗ company.id is 00123: it is "00123"',
        "? is not told: Bucket answers with one result for each rule, and with no stored value",
    ]


def test_what_does_not_follow_is_not_told(place):
    """An `and` that does not hold names no culprit, but for a field that the API calls missing."""
    with api(**real([False, False])) as url:
        silent = explain(place, url=url).stderr
    with api(**real([False, False], missingContextFields=["user.role"])) as url:
        told = explain(place, url=url).stderr

    assert "✗ all of these\n        ? company.plan is pro\n        ? user.role is admin\n" in silent
    assert "? all of these\n        ? company.plan is pro\n        ✗ user.role is admin: the API says" in told


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        (real([True]), "huddle is on: Bucket does not say which rule decided"),
        (real([False, False], isEnabled=True), "huddle is on: not by its rules (no rule matches)"),
    ],
)
def test_an_answer_that_explains_less_is_told_as_far_as_it_goes(place, answers, said):
    """Results for other rules than those that are defined, or a feature that is on beside its rules."""
    with api(**answers) as url:
        assert said in explain(place, url=url).stderr


def test_rules_in_another_form_are_not_guessed_at(place):
    """Exit 5: it is not Bucket's form."""
    answers = real([True])
    answers["features"] = {"success": True, "features": [{"key": "huddle", "targeting": {"rules": [{"filter": 7}]}}]}
    with api(**answers) as url:
        result = explain(place, url=url)

    assert result.exit_code == 5
    assert "not in Bucket's form" in result.stderr


def test_a_quiet_command_prints_what_was_asked_for(place):
    """The tree, and nothing beside it."""
    with api(**real([True, False])) as url:
        result = explain(place, "--quiet", url=url)

    assert "huddle is on: rule 1 matches" in result.stderr
    assert "✓ company.plan is pro" in result.stderr
    assert "not told" not in result.stderr
