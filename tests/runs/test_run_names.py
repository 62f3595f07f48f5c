"""Runs have names of their own, whatever the clock says; and nothing is removed that somebody else has made."""

from datetime import UTC, datetime

import pytest

from bucket_loader.model import StateUnavailableError
from bucket_loader.model.clock import SystemClock
from bucket_loader.runs import plan

NOON = datetime(2026, 1, 1, 12, 0, 0, 123_999, UTC)
STANDING = "20260101T120000123Z"


@pytest.fixture
def standing(companies, monkeypatch):
    """A workplace whose clock stands."""
    monkeypatch.setattr(SystemClock, "utc", lambda _: NOON)
    return companies


def names(workplace, folder="plans"):
    """The names in a folder of the state."""
    return sorted(path.name for path in workplace.folder.glob(f".bucket_loader/*/{folder}/*"))


def test_runs_plans_and_replays_of_one_millisecond_have_names_of_their_own(standing, emulator):
    """They follow each other; a plan that nobody ran, and a run whose plan is gone, keep their names."""
    first, planned = standing.run().summary["run"], standing.command("plan", "--json").summary["run"]
    standing.write("accounts.csv", "id,name\n123,Gone\n,Nobody\n")
    emulator.faults({"kind": "poison", "match": "Gone", "status": 400})
    third = standing.run()
    emulator.faults()
    again = standing.command_of(
        "replay", third.summary["dead_letters"], "--pipeline", str(standing.folder / "pipeline.yaml"), "--json"
    )
    standing.command("prune", "--older-than", "0s")
    fifth = standing.run("--full").summary["run"]
    made = [first, planned, third.summary["run"], again.summary["run"]]

    assert first == STANDING
    assert made == sorted(set(made))
    assert fifth not in {first, third.summary["run"], again.summary["run"]}
    assert again.summary["streams"]["companies"]["delivered"] == 1


@pytest.mark.parametrize("kind", ["folder", "file", "link"])
def test_what_has_the_name_already_stays(standing, kind):
    """A folder of somebody else, a file, a link that leads nowhere: another name is taken."""
    standing.run()
    (plans,) = standing.folder.glob(".bucket_loader/*/plans")
    other = plans / "20260101T120000124Z"
    if kind == "folder":
        other.mkdir()
        (other / "precious").touch()
    elif kind == "file":
        other.touch()
    else:
        other.symlink_to("nowhere")

    assert standing.run().summary["run"] == "20260101T120000125Z"
    assert kind != "folder" or (other / "precious").exists()


def test_a_plan_never_removes_a_folder_that_it_did_not_make(tmp_path):
    """Also where a name is taken between the look and the making."""
    (tmp_path / "precious").mkdir()
    with pytest.raises(StateUnavailableError), plan.plan_written_to(tmp_path / "precious"):
        pytest.fail("it began")

    assert (tmp_path / "precious").is_dir()


def test_what_a_failing_plan_has_made_is_removed(tmp_path):
    """Nothing of a plan that could not be finished is left."""

    def failing():
        with plan.plan_written_to(tmp_path / "plans" / "mine"):
            (tmp_path / "plans" / "mine" / "00.parquet").touch()
            raise KeyError

    with pytest.raises(KeyError):
        failing()
    assert list((tmp_path / "plans").iterdir()) == []
