"""One large export, planned in many ways: are all plans the same? Not part of CI; it takes minutes.

    .venv/bin/python tests/spark_agreement.py --rows 2000000

Prints for each way how long it took, the CPU seconds of all its processes (those of a cluster that was up already are
what they used meanwhile), and the plan's digest. Exits with 1 where two differ.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
import zlib
from pathlib import Path

HERE = Path(__file__).parent
sys.path.append(str(HERE / "integrations"))

from spark_cluster import cluster  # noqa: E402  # beside this file
from spark_export import AS_OF, digest_of, write_export  # noqa: E402  # in a folder of tests
from tiers import ROOT, SPARK  # noqa: E402

SUBMIT = ROOT / "bucket_loader/integrations/spark/submit.py"
ZONES = ("Pacific/Auckland", "America/Lima", "UTC", "Asia/Kathmandu")
SIZES = ((2,), (1, 1), (2, 2))  # cores of workers


def main():
    """Plan in each way, and print."""
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--rows", type=int, default=2_000_000)
    rows = options.parse_args().rows
    with tempfile.TemporaryDirectory(prefix="spark-agreement-") as name:
        write_export(export := Path(name, "export"), rows, share=100)
        digests = [told(*way) for way in ways(Path(name), export)]
    sys.exit(len(set(digests)) > 1)


def ways(folder, export):
    """Yield each way: its name, its command, and its variables."""
    alone = [sys.executable, "-m", "bucket_loader"]
    for count in (1, 3):
        yield f"{count} processes", [*alone, *planning(export, folder / f"p{count}"), "--processes", str(count)], {}
    submit = [SPARK / "bin/spark-submit", SUBMIT]
    for cores in SIZES:
        home = folder / f"cluster{'-'.join(map(str, cores))}"
        home.mkdir()
        with cluster(home, cores) as spark:
            if cores == SIZES[0]:
                words = [submit[0], "--master", "local[2]", submit[1], *planning(export, folder / "local")]
                yield "local[2]", [*words, "--engine", "spark"], spark.environment()
            words = [submit[0], "--master", spark.master, *_conf(cores), submit[1]]
            words += [*planning(export, home / "submit"), "--engine", "spark"]
            if sum(cores) > 2:  # else the Connect server has them
                yield f"submit, workers of {cores}", words, spark.environment()
            words = [SPARK / "bin/bucket-loader", *planning(export, home / "connect"), "--engine", "spark"]
            yield f"Connect, workers of {cores}", words, spark.environment(SPARK_REMOTE=spark.remote)


def _conf(cores):
    return ["--conf", f"spark.cores.max={sum(cores) - 2 or 2}"]


def planning(export, state):
    """Return the words that plan."""
    return ["plan", export / "pipeline.yaml", "--state", state, "--as-of", AS_OF]


def told(name, words, environment):
    """Plan in one way, print what it came to, and return the digest."""
    zone = ZONES[zlib.crc32(name.encode()) % len(ZONES)]
    own = {"BUCKET_BASE_URL": "http://127.0.0.1:9", "BUCKET_SECRET_KEY": "sec_test_0123456789abcdef0123", "TZ": zone}
    state, began, used = Path(words[words.index("--state") + 1]), time.monotonic(), cpu_s()
    done = subprocess.run([*map(str, words)], env=os.environ | environment | own, capture_output=True, check=False)
    seconds, used = time.monotonic() - began, cpu_s() - used
    if done.returncode:
        raise SystemExit(f"{name}: {done.stderr.decode()}")
    (folder,) = [path.parent for path in state.glob("*/plans/*/manifest.json")]
    digest = digest_of(folder)
    sys.stdout.write(f"{name:<28} {zone:<18} {seconds:6.1f} s  {used:6.1f} s of CPU  {digest[:16]}\n")
    sys.stdout.flush()
    return digest


def cpu_s():
    """Return what all processes under this one have used, those that have ended too."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    used, parents = {}, {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            stat = (folder / "stat").read_text("utf-8").rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(folder.name)], used[int(folder.name)] = int(stat[1]), sum(map(int, stat[11:15]))
    ticks = sum(used[pid] for pid in used if os.getpid() in _line(pid, parents))
    return ended.ru_utime + ended.ru_stime + ticks / os.sysconf("SC_CLK_TCK")


def _line(pid, parents):
    """Return the processes above one."""
    while pid := parents.get(pid, 0):
        yield pid


if __name__ == "__main__":
    main()
