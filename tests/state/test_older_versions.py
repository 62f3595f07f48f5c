"""A state that 0.1.0 left goes on, and 0.1.0 refuses what this version makes of it.

`of_0_1/` was written by 0.1.0: one run that succeeded, and one that an outage stopped after eight of twelve companies.
"""

import json
import re
import shutil
import sqlite3
from contextlib import closing
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from ledgers import OnServer
from tiers import ROOT
from workplace import KEY, Workplace, served_by

from bucket_loader.config import load_pipeline, mapping_fingerprint
from bucket_loader.model import StateUnavailableError
from bucket_loader.state.ledger.database import SCHEMA_VERSION
from bucket_loader.state.ledger.ledger import Ledger

OF_0_1 = Path(__file__).parent / "of_0_1"
OF_THAT_TIME = {"1", "2", "3", "4"}  # the schemas that 0.1.0 reads; it looks for them before anything else


@pytest.fixture
def bucket():
    """A server that takes everything, and is no emulator; gives its address and what it was sent."""
    sent = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            sent.extend(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.answer(b'{"success": true}')

        def do_GET(self):
            self.answer(b'{"success": true, "features": []}' if self.path == "/features" else b"{}")

        def answer(self, body):
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with served_by(Handler) as url:
        yield url, sent


@pytest.fixture
def place(tmp_path, bucket):
    """The state as 0.1.0 left it, beside its pipeline file; its host is the server's."""
    url, _ = bucket
    folder = tmp_path / "place"
    shutil.copytree(OF_0_1, folder)
    state = folder / ".bucket_loader" / f"accounts@production@{urlsplit(url).netloc.replace(':', '_')}"
    state.parent.mkdir()
    (folder / "state").rename(state)
    (folder / "accounts.yaml").rename(folder / "pipeline.yaml")
    return Workplace(folder, url), state


def meta(file, name):
    """Return what a ledger's file notes."""
    with closing(sqlite3.connect(file)) as ledger:
        return ledger.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()[0]


def tables(file):
    """Return everything that is in a ledger's file, less who owns it."""
    with closing(sqlite3.connect(file)) as ledger:
        names = [name for (name,) in ledger.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: ledger.execute(f"SELECT * FROM {name}").fetchall() for name in names if name != "owner"}


def test_a_state_of_0_1_goes_on(place, bucket):
    """The run that was unfinished is finished, what was delivered is not sent again, and the proof holds."""
    workplace, state = place
    before = tables(state / "ledger.db")
    _, sent = bucket

    finished, idle = workplace.run(), workplace.run()

    assert (finished.exit_code, idle.exit_code) == (3, 3)  # a row of the export has one field
    assert [item["companyId"] for item in sent if item["type"] == "company"] == ["00009", "00010", "00011", "00012"]
    assert [item["timestamp"][8:10] for item in sent if item["type"] == "event"] == [
        f"{day:02}" for day in range(9, 17)
    ]
    assert idle.summary["requests"] == 0
    assert workplace.command("audit", "20261130T225227082Z").exit_code == 0

    kept = state / "ledger.schema-4.db"
    assert f"it is kept as {kept}\n" in finished.stderr
    assert "it is kept" not in idle.stderr
    assert tables(kept) == before
    assert kept.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in state.glob("ledger*")] in (["ledger.db", kept.name], [kept.name, "ledger.db"])


def test_0_1_refuses_a_state_of_this_version_and_goes_on_with_the_copy(place):
    """It compares the schema with those that it reads; the copy has its own."""
    workplace, state = place
    workplace.run()

    assert meta(state / "ledger.db", "schema") == SCHEMA_VERSION
    assert SCHEMA_VERSION not in OF_THAT_TIME
    assert meta(state / "ledger.schema-4.db", "schema") in OF_THAT_TIME


def test_a_mapping_of_0_1_is_known_again():
    """Words that came later do not count where they are not written: else every keyless event would be sent again."""
    variables = {"BUCKET_BASE_URL": "http://127.0.0.1:1", "BUCKET_SECRET_KEY": KEY}

    pipeline = load_pipeline(OF_0_1 / "words.yaml", variables=variables)

    assert [mapping_fingerprint(stream)[:12] for stream in pipeline.streams] == ["e13616aa19c4", "8dd7e24d1ee5"]


def test_a_look_keeps_no_copy(place):
    """Whoever only reads brings nothing up to date."""
    workplace, state = place

    assert workplace.command("status").exit_code == 0

    assert meta(state / "ledger.db", "schema") == "4"
    assert not (state / "ledger.schema-4.db").exists()


def test_without_a_copy_nothing_is_brought_up_to_date(place, monkeypatch):
    """A disk that has no room for the copy leaves the ledger as it was."""
    _, state = place
    (state / "ledger.schema-4.db.unfinished").mkdir()  # where the copy is written: it cannot be

    with pytest.raises(StateUnavailableError, match="no copy of the ledger"):
        Ledger(state / "ledger.db")

    assert meta(state / "ledger.db", "schema") == "4"


@pytest.mark.postgres
def test_on_a_server_the_copy_is_in_the_same_schema():
    """Each table but the owner's has a copy with its rows and its key; a second upgrade replaces it."""
    place = OnServer()
    with closing(place.open()) as ledger:
        ledger.note(before="the upgrade")
    for _ in range(2):
        with place.other() as ask:
            ask("UPDATE meta SET value = '8' WHERE name = 'schema'")
        with closing(place.open()) as ledger:
            assert ledger.kept_copy == f"{ledger.database.name}, tables *_of_schema_8"
            assert ledger.meta("schema") == SCHEMA_VERSION

    with place.other() as ask:
        found = ask("SELECT tablename FROM pg_tables WHERE schemaname = current_schema() ORDER BY 1")
        names = {name for (name,) in found}
        kept = {name for name in names if "_of_schema_" in name}
        assert kept == {f"{name}_of_schema_8" for name in names - kept - {"owner"}}
        assert ask("SELECT value FROM meta_of_schema_8 WHERE name IN ('before', 'schema') ORDER BY name") == [
            ("the upgrade",), ("8",),
        ]  # fmt: skip
        assert ask(
            "SELECT count(*) FROM pg_constraint WHERE conrelid = 'meta_of_schema_8'::regclass AND contype = 'p'"
        ) == [(1,)]

    with place.other() as ask:  # the way back, as the docs say it
        text = re.search(
            r"```sql\nSET search_path.*?;\n(DO .*?)```", (ROOT / "docs/state.md").read_text("utf-8"), re.DOTALL
        )[1]
        ask(text.replace("schema\\_4", "schema\\_8"))
        assert ask("SELECT value FROM meta WHERE name = 'schema'") == [("8",)]
