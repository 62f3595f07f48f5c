"""`new_files: true`: each arriving file is loaded once, by name, size and content."""

import pytest

STREAM = """
- name: signups
  record: event
  key: [id]
  source: {type: csv, path: "drop/*.csv", new_files: true}
  fields: {userId: user, event: {value: signed up}, timestamp: {column: at, type: timestamp, timezone: UTC}}
"""


@pytest.fixture
def drop(workplace):
    """A folder that files are dropped into, with one in it."""
    workplace.pipeline(STREAM)
    put(workplace, "monday", 1, 2)
    return workplace


def put(workplace, name, *ids):
    """Drop a file of events."""
    rows = "".join(f"{one},u{one},2026-01-01\n" for one in ids)
    workplace.write(f"drop/{name}.csv", "id,user,at\n" + rows)


def load(workplace, *words):
    """Run; give how many rows were read and delivered."""
    result = workplace.run(*words)
    assert result.exit_code == 0, result.stderr
    counts = result.summary["streams"]["signups"]
    return counts["read"], counts["delivered"]


def test_a_file_is_read_once(drop):
    """The second run reads nothing; a new file alone is read when it comes."""
    assert load(drop) == (2, 2)
    assert load(drop) == (0, 0)
    put(drop, "tuesday", 3)

    assert load(drop) == (1, 1)


def test_a_file_with_other_content_is_another_file(drop):
    """The same name with other bytes is loaded again; what is known by its key is not sent."""
    load(drop)
    put(drop, "monday", 2, 3)

    assert load(drop) == (2, 1)


def test_a_folder_without_any_file_is_nothing_to_do(drop):
    """Files arrive when they arrive: an empty folder is no mistake."""
    (drop.folder / "drop" / "monday.csv").unlink()

    assert load(drop) == (0, 0)
    assert drop.run("--exit-99-when-empty").exit_code == 99


def test_full_reads_all_files_again(drop):
    """What was appended is not sent again all the same."""
    load(drop)

    assert load(drop, "--full") == (2, 0)


def test_a_limited_run_loads_no_file(drop):
    """Half a file must not count as loaded."""
    assert load(drop, "--limit", "1") == (1, 1)
    assert load(drop) == (2, 1)


def test_an_unfinished_run_has_not_loaded_its_file(drop, emulator):
    """It is loaded when the run is finished; an abandoned run leaves it to the next."""
    emulator.faults({"kind": "status", "status": 429, "rate": 1.0})
    run = drop.run("--patience", "0.3s").summary["run"]
    drop.command("abandon", run)
    emulator.faults()

    assert load(drop) == (2, 2)


def test_rejected_rows_do_not_bring_a_file_back(drop):
    """They were judged; `replay` takes them up again."""
    drop.write("drop/monday.csv", "id,user,at\n1,u1,2026-01-01\n2,,2026-01-01\n")
    assert drop.run().exit_code == 3

    assert load(drop) == (0, 0)


def test_a_shared_source_is_refused(workplace):
    """Two streams would each think that the other has loaded it."""
    workplace.pipeline(
        STREAM.replace('{type: csv, path: "drop/*.csv", new_files: true}', "dropped")
        + STREAM.replace('{type: csv, path: "drop/*.csv", new_files: true}', "dropped").replace(
            "name: signups", "name: b"
        ),
        head='sources: {dropped: {type: csv, path: "drop/*.csv", new_files: true}}\n',
    )
    result = workplace.run()

    assert (result.exit_code, "one stream uses" in result.stderr) == (2, True)
