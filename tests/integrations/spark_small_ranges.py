"""The command line, as it is where a plan has very many rows: it compares range by range, and tasks do that.

It starts several of them, and cuts rows by several calls. Spark's own environment runs it.
"""

from bucket_loader.cli.commands import main
from bucket_loader.planning.engine import compare
from bucket_loader.state.snapshots import comparing

comparing._ROWS_AT_ONCE = 30_000
compare._CUT_ROWS = 1

main()
