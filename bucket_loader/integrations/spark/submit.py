"""The command line as a file: `spark-submit "$(python -m bucket_loader.integrations.spark)" run nightly.yaml ...`."""

import runpy
import sys
from pathlib import Path

if __name__ == "__main__":
    here = str(Path(__file__).parent)
    sys.path[:] = [place for place in sys.path if place != here]  # a script's own folder hides modules
    runpy.run_module("bucket_loader", run_name="__main__", alter_sys=True)
