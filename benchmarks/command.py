"""`bucket-loader`, its clock started when its imports are done, as every peer's is."""

from benchmarks.peers.shared import begin
from bucket_loader.cli.commands import main
from bucket_loader.cli.warmup import import_libraries

import_libraries()
import bucket_loader.runs.run  # noqa: E402, F401  # what `run` and `plan` import besides

begin()
main(prog_name="bucket-loader")
