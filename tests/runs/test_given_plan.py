"""A plan that was looked at: whether it holds changes, how old it may be, and what overtook it."""

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from workplace import COMPANIES, EVENTS, Workplace

from bucket_loader import load
from bucket_loader.model import UsageError


def planned(workplace, *words):
    """Make a plan; gives what `--json` says of it."""
    return json.loads(workplace.command("plan", "--json", *words).stdout.splitlines()[-1])


def aged(monkeypatch, hours):
    """Let the clock of runs be so many hours ahead."""
    later = datetime.now(UTC) + timedelta(hours=hours)
    monkeypatch.setattr("bucket_loader.model.clock.SystemClock.utc", lambda _: later)


def test_a_plan_with_something_to_send_ends_with_10_where_that_is_asked_for(companies):
    """Nothing new, or rows that are rejected alone, is 0; without the option it always is; stdout is the same."""
    first = companies.command("plan", "--json", "--exit-10-when-changes")
    companies.run()
    nothing = companies.command("plan", "--exit-10-when-changes")
    companies.write("accounts.csv", "id,name,seats\n00123,Acme,5\n123,Beta,7\nnull,Gamma,\n,Delta,1\n")
    rejected = companies.command("plan", "--json", "--exit-10-when-changes")
    companies.write("accounts.csv", "id,name,seats\n00123,Acme,6\n123,Beta,7\nnull,Gamma,\n")
    changed, unasked = companies.command("plan", "--exit-10-when-changes"), companies.command("plan")

    codes = [one.exit_code for one in (first, nothing, rejected, changed, unasked)]
    assert codes == [10, 0, 0, 10, 0]
    assert first.summary["streams"]["companies"]["pending"] == 3
    assert rejected.summary["streams"]["companies"]["rejected"] == 1


def test_a_company_that_is_gone_is_something_to_send(companies):
    """What is sent for a removed row counts as any other record."""
    companies.pipeline(COMPANIES.rstrip() + "\n  on_removed: {attributes: {gone: true}, limit: 100%}\n")
    companies.run()
    companies.write("accounts.csv", "id,name,seats\n00123,Acme,5\n123,Beta,7\n")

    assert companies.command("plan", "--exit-10-when-changes").exit_code == 10


def test_a_plan_that_is_too_old_is_refused_and_one_that_is_not_is_sent(companies, monkeypatch):
    """It is refused with its age and with what to do; nothing is sent, and a longer time lets it pass."""
    plan = planned(companies)["plan"]
    aged(monkeypatch, 30)
    refused = companies.run("--plan", plan, "--max-age", "24h")
    sent = companies.run("--plan", plan, "--max-age", "2d")

    assert refused.exit_code == 2
    assert f"the plan {Path(plan).name} was made 1 d 6 h ago, and may be at most 1 d old" in refused.stderr
    assert "`bucket-loader plan " in refused.stderr
    assert (sent.exit_code, sent.summary["streams"]["companies"]["delivered"]) == (0, 3)


def test_an_age_is_for_a_plan_alone(companies):
    """What is planned now has none; a word that is no duration is refused as everywhere."""
    alone = companies.command("run", "--max-age", "24h")
    nonsense = companies.command("run", "--plan", ".", "--max-age", "soon")

    assert (alone.exit_code, nonsense.exit_code) == (2, 2)
    assert "--max-age is for a plan that was made before" in alone.stderr
    assert "--max-age soon: is not a duration" in nonsense.stderr
    with pytest.raises(UsageError, match="max_age is for a plan"):
        load(companies.folder / "pipeline.yaml", max_age="1h")


def test_an_overtaken_plan_names_what_overtook_it(companies):
    """The last run that came after it; or that something was forgotten, also where runs came before it."""
    plan = planned(companies)["plan"]
    companies.run()
    last = companies.run().summary["run"]
    by_runs = companies.run("--plan", plan)

    plan = planned(companies)["plan"]
    companies.command("forget", "--yes")
    by_forgetting = companies.run("--plan", plan)
    last_of_all = companies.run().summary["run"]
    by_both = companies.run("--plan", plan)

    assert [one.exit_code for one in (by_runs, by_forgetting, by_both)] == [2, 2, 2]
    assert f"is out of date: run {last} came after it" in by_runs.stderr
    assert "is out of date: what was remembered was forgotten after it" in by_forgetting.stderr
    assert f"is out of date: run {last_of_all} came after it" in by_both.stderr


def test_a_plan_that_was_made_beside_an_unfinished_run_is_refused(workplace, emulator):
    """That run's rows are in it too, and would arrive twice; the next plan, once that run is finished, is sent."""
    workplace.events(9)
    workplace.pipeline(EVENTS)
    emulator.faults({"kind": "status", "status": 503})
    unfinished = workplace.run().summary["run"]
    emulator.faults()
    made = workplace.command("plan", "--json")
    refused, again = [workplace.run("--plan", made.summary["plan"]) for _ in range(2)]
    newer = workplace.run("--plan", planned(workplace)["plan"])

    assert f"warning: run {unfinished} is unfinished" in made.stderr
    assert [one.exit_code for one in (refused, again, newer)] == [2, 2, 0]
    assert f"is out of date: run {unfinished} was unfinished when it was made" in again.stderr
    assert emulator.state()["events"] == 9


def test_a_plan_may_be_carried_to_another_machine_with_its_state(companies, emulator, tmp_path_factory):
    """CI plans in one checkout and runs in another: the folder of the state is what has to be the same."""
    plan = Path(planned(companies)["plan"])
    other = tmp_path_factory.mktemp("other") / "checkout"
    shutil.copytree(companies.folder, other)
    elsewhere = Workplace(other, emulator.url)
    sent = elsewhere.run("--plan", str(other / plan.relative_to(companies.folder)), "--max-age", "1h")

    assert (sent.exit_code, sent.summary["run"]) == (0, plan.name)
    assert emulator.state()["companies"] == 3
