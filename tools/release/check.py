"""Is what is committed ready to be released? `make release-check` says, a line for each step.

    python tools/release/check.py            what this machine cannot do is named, and is no failure
    python tools/release/check.py --publish  then it is one: this is what the workflow calls
    python tools/release/check.py --only build --only contents

It works on copies of the last commit. Nothing is uploaded.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

from archives import bill, contents, licences, record
from audit import audit
from building import build, from_sdist, metadata
from installing import installs
from pins import pins, urls
from steps import Failed, LeftOut, Release
from versions import version

STEPS = {
    "version": version,
    "build": build,
    "from_sdist": from_sdist,
    "metadata": metadata,
    "contents": contents,
    "record": record,
    "bill": bill,
    "pins": pins,
    "urls": urls,
    "audit": audit,
    "installs": installs,
    "licences": licences,
}
NEEDED = ("version", "build")  # by all others


def main():
    """Do the steps, and end with 1 when one has failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--publish", action="store_true", help="what cannot be done here is a failure")
    parser.add_argument("--only", action="append", choices=list(STEPS), help="these steps; may be repeated")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="put the sdist and the wheel there")
    words = parser.parse_args()
    chosen = {*NEEDED, *words.only} if words.only else set(STEPS)
    with tempfile.TemporaryDirectory(prefix="release-") as folder:
        release = Release(Path(folder), words.keep)
        ends = [done(name, step, release) for name, step in STEPS.items() if name in chosen]
    bad = {"failed", "left out"} if words.publish else {"failed"}
    if left := ends.count("left out"):
        print(f"{left} steps could not be done here; the workflow that publishes refuses to go on without them")
    sys.exit(1 if bad & set(ends) else 0)


def done(name, step, release):
    """Do one step, and say in a line what came of it."""
    began_s = time.monotonic()
    try:
        said, end = step(release), "ok"
    except LeftOut as error:
        said, end = str(error), "left out"
    except Failed as error:
        said, end = str(error), "failed"
    print(f"{end:<8}  {name:<10}  {time.monotonic() - began_s:5.1f} s  {said}", flush=True)
    return end


if __name__ == "__main__":
    main()
