"""The peers: each a program of its own in an environment of its own, configured as its documentation advises."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.contest import Arena, Entry
from benchmarks.environments import Environment
from benchmarks.measuring import Cost

HERE: Final = Path(__file__).parent


@dataclass(frozen=True)
class Peer:
    """A peer's program.

    Attributes:
        environment: what it needs.
        words: the program and its arguments; the first is a file beside this one.
        bodies: whether it posts ready-made bodies, instead of reading the export.
    """

    environment: Environment
    words: tuple[str, ...]
    bodies: bool = False

    def __call__(self, arena: Arena) -> Cost:
        """Run it once."""
        file = arena.exports.bodies(arena.rows) if self.bodies else arena.exports.events(arena.rows)
        program = self.environment.program(HERE / self.words[0])
        return arena.measure([*program, *self.words[1:]], BENCHMARK_FILE=str(file))


DLT: Final = Environment("dlt", ("dlt[parquet]==1.31.0", "pyarrow==26.0.1", "requests==2.34.2"))
DRT: Final = Environment("drt", ("drt-core==1.2.1", "duckdb==2.0.0"))
SINGER: Final = Environment("singer", ("singer-sdk[msgspec]==0.54.9", "pyarrow==26.0.1", "requests==2.34.2"))
NODE: Final = Environment("node", ("@reflag/node-sdk@1.7.1", "@duckdb/node-api@1.5.6-r.1"), node=True)
LOOP: Final = Environment("pandas", ("pandas==3.1.1", "pyarrow==26.0.1", "requests==2.34.2"))
SCRIPT: Final = Environment(
    "script", ("orjson==3.13.0", "psycopg[binary]==3.3.9", "pyarrow==26.0.1", "requests==2.34.2")
)
BARE: Final = Environment("bare", ("requests==2.34.2",))

ENTRIES: Final = (
    Entry("bare", "bare sender: ready-made bodies, `requests`", Peer(BARE, ("bare_requests.py",), bodies=True)),
    Entry("socket", "bare sender: plain sockets", Peer(BARE, ("bare_socket.py",), bodies=True)),
    Entry("pandas", "pandas loop, `iterrows`", Peer(LOOP, ("pandas_loop.py", "iterrows")), 0.1),
    Entry("pandas-tuples", "pandas loop, `itertuples`", Peer(LOOP, ("pandas_loop.py", "itertuples")), 0.3),
    Entry("dlt", "dlt, Parquet, batches of 100", Peer(DLT, ("dlt_destination.py", "parquet")), 0.3),
    Entry("dlt-large", "dlt, Parquet, batches cut by hand", Peer(DLT, ("dlt_destination.py", "parquet", "5000")), 0.3),
    Entry("dlt-rows", "dlt, rows", Peer(DLT, ("dlt_destination.py", "rows")), 0.1),
    Entry("drt", "drt, its template makes the JSON", Peer(DRT, ("drt_sync.py", "rows")), 0.5),
    Entry("drt-text", "drt, SQL makes the JSON", Peer(DRT, ("drt_sync.py", "text")), 0.5),
    Entry("singer", "a Singer target, Meltano's SDK", Peer(SINGER, ("singer_target.py",)), 0.3),
    Entry("node", "the vendor's node SDK (no timestamps)", Peer(NODE, ("node_sdk.mjs",)), 0.5),
)
