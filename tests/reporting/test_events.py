"""Each event is a value, and every listener renders it."""

import json
import logging

import pytest

from bucket_loader.reporting.events import ChunkHeld, ChunkRetried, ChunksUnknown
from bucket_loader.reporting.json_lines import JsonReporter, Output
from bucket_loader.reporting.text import Reporter

UNKNOWN = ChunksUnknown("r", "clicks", ("0-4", "5-9"), 10, held=False)
HELD = ChunkHeld("r", "clicks", "0-4", "500")
RETRIED = ChunkRetried("r", "clicks", "0-4", 2, "500", ambiguous=True)


@pytest.mark.parametrize(
    ("event", "level", "name"),
    [(UNKNOWN, "warning", "unknown"), (HELD, "warning", "held"), (RETRIED, "info", "retry")],
    ids=["unknown", "held", "retried"],
)
def test_what_happens_to_a_chunk_is_an_object_in_json_and_a_log_line_in_text(event, level, name, capsys, caplog):
    """Both have the same words; a program that calls `load` finds them in its own log."""
    with Output("json"):
        JsonReporter().tell(event)
    told = json.loads(capsys.readouterr().err)
    assert (told["event"], told["level"], told["message"]) == (name, level, event.text)
    assert (told["run"], told["stream"]) == ("r", "clicks")
    assert told.get("chunk", told.get("chunks")) in ("0-4", ["0-4", "5-9"])

    caplog.clear()
    with caplog.at_level(logging.INFO, "bucket_loader"):
        Reporter(console=None).tell(event)
    assert [(one.levelname.lower(), one.getMessage()) for one in caplog.records] == [(level, event.text)]
