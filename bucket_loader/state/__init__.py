"""The state of a pipeline: where everything lies, whose it is, and that only one run uses it at a time.

<state>/<pipeline>@<environment>@<host>/
ledger.db      lock
plans/<run>/   snapshots/<part>.parquet   dead_letters/<run>.jsonl

With `--state postgresql://...` the ledger is a schema of that name instead; with `--state s3://...` beside it the files
below the last line are copied to the store before the ledger names them, and fetched where a worker lacks them.
"""

from bucket_loader.ledger.connecting import Waiting
from bucket_loader.state.opening import FOLDER, Wanted, folder_of, look_at_state, open_state
from bucket_loader.state.places import Given, StatePlace, read_place
from bucket_loader.state.state import State

__all__ = [
    "FOLDER",
    "Given",
    "State",
    "StatePlace",
    "Waiting",
    "Wanted",
    "folder_of",
    "look_at_state",
    "open_state",
    "read_place",
]
