"""The state of a pipeline: where everything lies, whose it is, and that only one run uses it at a time.

`layout.py` shows its files. With `--state postgresql://...` the ledger is a schema named as the folder is; with
`--state s3://...` beside it plans, snapshots and dead letters are copied to the store before the ledger names them, and
fetched where a worker lacks them.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
