"""The state of a pipeline: where everything lies, whose it is, and that only one run uses it at a time.

<state>/<pipeline>@<environment>@<host>/
ledger.db      lock
plans/<run>/   snapshots/<part>.parquet   dead_letters/<run>.jsonl

With `--state postgresql://...` the ledger is a schema of that name instead; with `--state s3://...` beside it the files
below the last line are copied to the store before the ledger names them, and fetched where a worker lacks them.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
