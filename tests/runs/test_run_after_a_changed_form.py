"""A mended form of values: history without `key:` waits for a person, and what is compared says how much it is."""

import sqlite3
from contextlib import closing
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from bucket_loader.config.fingerprints import mapping_fingerprint
from bucket_loader.config.stream import Stream

EVENTS = """
- name: s
  record: event
  source: {type: parquet, path: x.parquet}
  fields:
    userId: id
    event: {value: paid}
    timestamp: {value: "2025-01-01T00:00:00Z"}
    attributes: {share: share}
"""
USERS = """
- name: s
  record: user
  sync: changes
  source: {type: parquet, path: x.parquet}
  fields:
    userId: id
    attributes: {share: share}
"""


def delivered_before(workplace, streams):
    """Deliver one row, as a version of the loader did that knew only the first forms; then the row has another."""
    write(workplace, "0.25")
    workplace.pipeline(streams)
    workplace.run()
    (stream,) = yaml.safe_load(streams)
    fingerprint = mapping_fingerprint(Stream.model_validate(stream))
    (ledger,) = workplace.folder.rglob("ledger.db")
    with closing(sqlite3.connect(ledger)) as database, database:
        assert database.execute("UPDATE stream SET mapping = ?", (fingerprint,)).rowcount == 1
    write(workplace, "0.50")


def write(workplace, share):
    """Write the source: a decimal of fractions alone."""
    column = pa.array([Decimal(share)], pa.decimal128(2, 2))
    pq.write_table(pa.table({"id": ["u"], "share": column}), workplace.folder / "x.parquet")


def test_a_changed_form_sends_no_history_again_until_it_is_accepted(workplace, emulator):
    """Without `key:`, exit 2 with what has changed; the accepted form is then the known one."""
    delivered_before(workplace, EVENTS)

    refused, accepted, again = workplace.run(), workplace.run("--accept-mapping"), workplace.run()

    assert [result.exit_code for result in (refused, accepted, again)] == [2, 0, 0]
    assert "another form (a decimal below 1 keeps the zero" in refused.stderr
    assert emulator.state()["events"] == 2


def test_what_is_compared_says_how_much_goes_out_once_more(workplace):
    """`changes` sends what is spelt in another way, says so once, and `limits: {changed:}` holds it back."""
    delivered_before(workplace, USERS)
    workplace.pipeline(USERS, head="limits: {changed: 10%}\n")
    limited = workplace.run()
    workplace.pipeline(USERS)
    first, second = workplace.run(), workplace.run()

    assert (limited.exit_code, first.exit_code, second.exit_code) == (4, 0, 0)
    assert "1 of 1 known records go out once more" in first.stderr
    assert "once more" not in second.stderr


def test_a_changed_form_in_a_key_sends_no_history_again(workplace, emulator):
    """A row is known by its key, so that one in another form makes it new: exit 2 until it is accepted."""
    keyed = EVENTS.replace("  fields:", "  key: [share]\n  fields:")
    delivered_before(workplace, keyed)
    refused, accepted, again = workplace.run(), workplace.run("--accept-mapping"), workplace.run()

    assert [result.exit_code for result in (refused, accepted, again)] == [2, 0, 0]
    assert "another form (a decimal below 1" in refused.stderr
    assert "in `key:`" in refused.stderr
    assert emulator.state()["events"] == 2


def test_a_changed_form_beside_a_key_that_has_not_changed_stops_nothing(workplace):
    """The key is as it was: what is known stays known, and what is new is sent."""
    keyed = EVENTS.replace("  fields:", "  key: [id]\n  fields:")
    delivered_before(workplace, keyed)
    summary = workplace.run().summary

    assert (summary["exit_code"], summary["streams"]["s"]["unchanged"]) == (0, 1)
