"""`impact` and its limits in stories: what a person is told, and what stops a run before it sends anything."""

import json
import socket

import pytest

pytestmark = pytest.mark.breadth

STREAM = """
- name: companies
  record: company
  source: {type: csv, path: accounts.csv}
  fields: {companyId: id, attributes: {plan: plan%s}}
  remember: %s
"""
PAID = {"type": "context", "field": "company.plan", "operator": "IS", "values": ["pro"]}
PRO = 212
ALL = 5_000


def feature(key, *filters, version=1):
    """Return a feature that each of some filters turns on."""
    return {"key": key, "targeting": {"version": version, "rules": [{"filter": one} for one in filters]}}


def rollout(share):
    """Return a filter that lets a share of companies in, in thousandths of a per cent."""
    return {"type": "rolloutPercentage", "partialRolloutAttribute": "company.id", "partialRolloutThreshold": share}


def define(place, *features):
    """Define features where the pipeline sends to."""
    place.emulator.call("PUT", "/_emulator/features", {"features": list(features)})


def export(place, plan="pro", more=""):
    """Write an export of 5,000 companies, 212 of which pay."""
    rows = (f"{number:05},{plan if number < PRO else 'free'}{more and ',x'}" for number in range(ALL))
    place.write("accounts.csv", f"id,plan{more and ',' + more}\n" + "\n".join(rows) + "\n")


def pipeline(place, head="", fields="", remember="values"):
    """Write the pipeline file."""
    place.pipeline(STREAM % (fields, remember), head=head)


@pytest.fixture
def place(workplace, emulator):
    """A workplace that has loaded 5,000 companies, 212 of which have the paid feature."""
    workplace.emulator = emulator
    define(workplace, feature("checkout", PAID))
    pipeline(workplace)
    export(workplace)
    assert workplace.run().exit_code == 0
    yield workplace
    emulator.call("PUT", "/_emulator/features", {"features": []})


def found(place, *words):
    """Return what `impact --json` prints."""
    result = place.command("impact", "--json", *words)
    assert result.exception is None, result.stderr
    return json.loads(result.stdout)


def requests(place):
    """Return how many calls the API has taken so far."""
    return place.emulator.state()["requests"]


def test_a_plan_that_was_renamed_turns_a_paid_feature_off_and_is_stopped(place):
    """Somebody renames `pro` in the warehouse: 212 companies would lose what they pay for, and nothing is sent."""
    pipeline(place, head="limits: {flips: {checkout: 0, '*': 5%}}\n")
    export(place, plan="Pro")
    sent = requests(place)
    stopped = place.run("--accept-changes")
    assert stopped.exit_code == 4
    (gate,) = stopped.summary["error"]["gates"]
    assert gate["gate"] == "flips"
    assert (
        gate["text"] == "feature 'checkout' turns off for 212, of 5,000, more than `limits: {flips: {'checkout': 0}}`"
    )
    assert stopped.summary["impact"] == "1 feature changes for 212 companies"
    assert requests(place) - sent == 1  # the definitions

    shown = found(place)["flips"]
    assert len(shown) == PRO
    assert shown[0] == {
        "feature": "checkout", "companyId": "00000", "userId": None, "before": True, "after": False,
        "rule_before": 0, "rule_after": None, "attributes": {"plan": {"old": "pro", "new": "Pro"}},
    }  # fmt: skip
    accepted = place.run("--accept-flips")
    assert accepted.exit_code == 0
    assert accepted.summary["streams"]["companies"]["delivered"] == PRO


def test_a_column_that_no_rule_asks_for_changes_no_feature(place):
    """A new attribute goes out for all companies, and no feature turns on or off: a limit of none lets it pass."""
    pipeline(place, head="limits: {flips: {'*': 0}, unknown: 0}\nimpact: on\n", fields=", note: note")
    export(place, more="note")
    impact = found(place)
    assert impact == {
        "features": {"checkout": {"on": 0, "off": 0, "variant": 0, "unchanged": ALL, "unknown": 0}},
        "flips": [],
        "unknown": [],
    }
    ran = place.run()
    assert ran.exit_code == 0
    assert ran.summary["impact"] == "no feature changes"
    diff = json.loads(place.command("plan", "--diff", "--format", "json").stdout)
    assert diff["impact"] == "no feature changes"


def test_a_rollout_that_was_raised_between_plan_and_run_is_said_with_both_versions(place):
    """The vendor raises a rollout after somebody looked: the run says so, and predicts by the rules of now."""
    define(place, feature("beta", rollout(10_000), version=4))
    pipeline(place, head="impact: on\n")
    export(place, plan="team")
    planned = place.command("plan", "--json")
    folder = json.loads(planned.stdout)["plan"]
    assert "beta had version" not in planned.stderr
    define(place, feature("beta", rollout(60_000), version=5))
    ran = place.run("--plan", folder, "--impact")
    assert ran.exit_code == 0
    assert "since this plan was looked at: beta had version 4, and has version 5 now" in ran.stderr
    assert "20 of 20 predictions are what Bucket answers after the run" in ran.stderr


def test_what_is_not_remembered_is_unknown_and_has_a_limit_of_its_own(place):
    """Hashes say that a company has changed, not what it was: nothing is guessed, and `run --full` learns it."""
    pipeline(place, remember="hashes")
    assert place.run("--full").exit_code == 0
    pipeline(place, head="limits: {unknown: 10%}\n")
    export(place, plan="Pro")
    impact = found(place)
    assert impact["features"]["checkout"] == {"on": 0, "off": 0, "variant": 0, "unchanged": 0, "unknown": PRO}
    assert {one["why"] for one in impact["unknown"]} == {
        "company.plan: what was delivered is not remembered (`remember: values`, then `run --full`, learns it)"
    }
    stopped = place.run()
    assert [gate["gate"] for gate in stopped.summary["error"]["gates"]] == ["unknown"]
    assert place.run("--accept-flips").exit_code == 0


def test_nobody_is_asked_for_definitions_unless_somebody_wants_to_know(place):
    """Without `impact: on`, a limit on features or `--impact`, a run and a plan ask for no definitions."""
    export(place, plan="Pro")
    sent = requests(place)
    assert place.command("plan", "--diff").exit_code == 0
    assert requests(place) == sent
    features = place.write("features.json", json.dumps({"features": [feature("checkout", PAID)]}))
    assert len(found(place, "--features", str(features))["flips"]) == PRO
    assert requests(place) == sent
    ran = place.run()
    assert "impact" not in ran.summary
    assert requests(place) - sent == ran.summary["requests"]


def test_what_a_full_stream_has_delivered_is_not_taken_for_new(place):
    """`sync: full` keeps no memory: once it has delivered, what companies had before is unknown, and no flip."""
    full = (STREAM % ("", "hashes")).replace("  remember: hashes\n", "  sync: full\n")
    place.pipeline(full, name="other")
    assert found(place)["features"]["checkout"]["on"] == PRO
    assert place.run().exit_code == 0
    assert found(place)["features"]["checkout"]["unknown"] == ALL


def test_a_rehearsal_asks_for_no_features(place):
    """The emulator of a rehearsal has none: words about features neither fail it nor stop it."""
    pipeline(place, head="impact: on\nlimits: {flips: {'*': 0}, unknown: 0}\n")
    rehearsed = place.command("rehearse")
    assert rehearsed.exit_code == 0
    assert "impact" not in rehearsed.stderr


def test_a_host_that_cannot_be_asked_after_the_run_does_not_undo_it(place, monkeypatch):
    """All was sent; that a question afterwards finds nobody is said, and the run has succeeded."""
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    from bucket_loader.runs.impact import asking

    def away(destination, context):
        return real(destination.model_copy(update={"base_url": f"http://127.0.0.1:{port}"}), context)

    real = asking.evaluated_features
    monkeypatch.setattr(asking, "evaluated_features", away)
    export(place, plan="Pro")
    ran = place.run("--impact")
    assert ran.exit_code == 0
    assert "Bucket could not be asked" in ran.stderr


def test_values_of_rows_are_shown_so_that_they_do_nothing(place):
    """A plan that is made to steer a terminal, a table or a page is shown as signs in every form for people."""
    evil = "\x1b[31m|<script>@here`"
    define(place, feature("evil", PAID))
    export(place, plan=f'"{evil}"')
    forms = {form: place.command("impact", "--format", form).stdout for form in ("text", "markdown", "html")}
    assert not any("\x1b" in text for text in forms.values())
    assert "<script>" not in forms["html"]
    assert "\\|" in forms["markdown"]
    assert "1 feature changes for 212 companies" in forms["text"]
    assert len(place.command("impact", "--format", "csv").stdout.splitlines()) == PRO + 1


def test_asking_holds_predictions_against_the_api_before_the_run(place):
    """What somebody else has changed by hand is found: Bucket says otherwise, and impact says so."""
    export(place, plan="Pro")
    assert (
        "12 of 12 predictions are what Bucket answers before the run" in place.command("impact", "--ask", "12").stdout
    )
    items = [{"type": "company", "companyId": f"{number:05}", "attributes": {"plan": "free"}} for number in range(PRO)]
    place.emulator.load(items, place.key)
    said = place.command("impact", "--ask", "12").stdout
    assert "0 of 12 predictions are what Bucket answers before the run" in said
    assert "checkout company 00" in said
    assert "predicted on, and Bucket says off" in said


def test_a_run_tells_of_features_and_of_no_row(place):
    """Ids and values are shown by `impact`, which is asked for them; never by a run, its summary or its report."""
    pipeline(place, head="impact: on\nlimits: {flips: {checkout: 0}}\n")
    export(place, plan="planted-value")
    page = place.folder / "report.html"
    stopped = place.run("--report", str(page))
    assert stopped.exit_code == 4
    define(place, feature("checkout", PAID), feature("other", rollout(50_000)))
    ran = place.run("--impact", "--accept-flips")
    assert "predictions are what Bucket answers after the run" in ran.stderr
    beside = [path.read_text() for path in place.folder.rglob("impact.json")]
    assert len(beside) > 1
    for text in (stopped.stdout, stopped.stderr, ran.stdout, ran.stderr, page.read_text(), *beside):
        assert "planted-value" not in text
        assert "00007" not in text
    assert "1 feature changes for 212 companies" in page.read_text()


MEMBERS = """
- name: members
  record: company
  source: {type: csv, path: members.csv}
  fields:
    companyId: company
    userId: user
    attributes: {plan: plan, seats: {column: seats, type: integer}, tags: {column: tags, type: json}}
  remember: values
- name: people
  record: user
  source: {type: csv, path: people.csv}
  fields: {userId: id, attributes: {role: role}}
  remember: values
"""


def test_values_are_shown_as_they_are_sent(workplace, emulator):
    """Rules see texts; a person sees the number and the list that are sent, as `plan --diff` shows them."""
    workplace.emulator = emulator
    compared = [{"type": "context", "field": "company.seats", "operator": "GT", "values": ["10"]}]
    compared.append({"type": "context", "field": "company.tags", "operator": "CONTAINS", "values": ["x"]})
    define(workplace, feature("big", *compared))
    workplace.pipeline(MEMBERS)
    workplace.write("people.csv", "id,role\nu1,admin\n")
    workplace.write("members.csv", 'company,user,plan,seats,tags\nc1,u1,pro,5,"[""a""]"\n')
    workplace.run()
    workplace.write("members.csv", 'company,user,plan,seats,tags\nc1,u1,pro,16,"[""a"", 1]"\n')
    (flip,) = found(workplace)["flips"]
    assert flip["attributes"] == {"seats": {"old": 5, "new": 16}, "tags": {"old": ["a"], "new": ["a", 1]}}
    define(workplace)


def test_users_are_looked_at_with_each_company_and_what_differs_between_them_is_not_guessed(workplace, emulator):
    """A user's role counts in each of its companies; of two records that differ nobody knows which came last."""
    workplace.emulator = emulator
    admin = {"type": "context", "field": "user.role", "operator": "IS", "values": ["admin"]}
    both = {"type": "group", "operator": "and", "filters": [admin, PAID]}
    define(workplace, feature("both", both), feature("checkout", PAID))
    workplace.pipeline(MEMBERS)
    workplace.write("people.csv", "id,role\nu1,member\nu2,member\nu3,member\n")
    rows = ["c1,u1,pro,1,", "c2,u1,free,1,", "c3,u1,pro,1,", "c3,u2,free,1,"]
    workplace.write("members.csv", "\n".join(["company,user,plan,seats,tags", *rows]) + "\n")
    workplace.run()
    workplace.write("people.csv", "id,role\nu1,admin\nu2,member\nu3,admin\n")
    impact = found(workplace)
    assert [(one["companyId"], one["userId"], one["after"]) for one in impact["flips"]] == [("c1", "u1", True)]
    assert impact["flips"][0]["attributes"] == {"user.role": {"old": "member", "new": "admin"}}
    whys = {(one["companyId"], one["userId"]): one["why"] for one in impact["unknown"]}
    assert whys == {
        ("c3", "u1"): "company.plan: the records of its users say different things, and which came last is not known",
        (None, "u3"): "company.plan: no company is in sight",
    }
    assert impact["features"]["checkout"] == dict.fromkeys(("on", "off", "variant", "unchanged", "unknown"), 0)
    define(workplace)
