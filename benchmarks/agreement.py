"""Whether all do the same work: each sends some rows to a server that keeps them, and the records are compared."""

import json
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from benchmarks.contest import ContestError, Entry, compete, reason
from benchmarks.exports import CHUNK, Exports
from benchmarks.measuring import CommandError
from benchmarks.sinks import Sink

ROWS: Final = 3 * CHUNK
WITHOUT_TIME: Final = {"node"}  # the SDK has no way to give one
DONE: Final = b'{"success":true}'


class Recorder(ThreadingHTTPServer):
    """Keeps the records of every body."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.records: list[dict[str, Any]] = []


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Recorder

    def do_POST(self) -> None:
        """Keep a body."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.records += json.loads(body, parse_int=float)
        self.send_response(200)
        self.send_header("Content-Length", str(len(DONE)))
        self.end_headers()
        self.wfile.write(DONE)

    def log_message(self, *_words: object) -> None:
        """Say nothing."""


def disagreeing(entries: Sequence[Entry], exports: Exports) -> dict[str, str]:
    """Say which of the entries that send events do not send the export's records, and why."""
    expected = expected_records(exports)
    return {
        entry.name: trouble
        for entry in entries
        if entry.sends and (trouble := _trouble(entry, exports=exports, expected=expected))
    }


def expected_records(exports: Exports) -> list[dict[str, Any]]:
    """Return the export's records."""
    lines = exports.bodies(ROWS).read_text().splitlines()
    return [record for line in lines for record in json.loads(line, parse_int=float)]


def are_same(records: Sequence[dict[str, Any]], expected: Sequence[dict[str, Any]], *, timed: bool = True) -> bool:
    """Whether records say the same, in any order."""
    found, wanted = (Counter(_spelt(one, timed=timed) for one in some) for some in (records, expected))
    return found == wanted


def _trouble(entry: Entry, *, exports: Exports, expected: list[dict[str, Any]]) -> str:
    with Recorder() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            sink = _Uncounted(f"http://127.0.0.1:{server.server_port}", "a recorder")
            compete(replace(entry, sends=False), exports=exports, sink=sink, rows=ROWS)
        except (CommandError, ContestError) as error:
            return reason(error)
        finally:
            server.shutdown()
            thread.join()
        same = are_same(server.records, expected, timed=entry.name not in WITHOUT_TIME)
        return "" if same else f"its {len(server.records):,} records are not the export's"


class _Uncounted(Sink):
    def requests(self) -> int:
        return 0


def _spelt(record: dict[str, Any], *, timed: bool) -> str:
    """Spell a record without what is null, so that those that say the same are equal."""
    attributes = {name: value for name, value in record["attributes"].items() if value is not None}
    kept = {name: value for name, value in record.items() if timed or name != "timestamp"}
    return json.dumps(kept | {"attributes": attributes}, sort_keys=True)
