"""Several senders against one hidden limit that moves: how much of it they use, and how often they are refused.

    BENCHMARK_POSTGRES=postgresql://user@host/database python -m benchmarks.senders
    BENCHMARK_POSTGRES=... python -m benchmarks.senders --senders 8 --rows 8000000

The real command (`run --senders`) sends to the limited sink, which answers after 80 ms. Each run has a state of its own
in that database, which stays. The figures leave out twenty seconds after each step, in which the limit is searched for,
and the last second, as those of the model do (tests/delivery/http/test_pacing_senders.py).
"""

import argparse
import os
import subprocess
import sys
import time
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.contest import KEY
from benchmarks.limited import BURST, ENDS_S, LATENCY_S
from benchmarks.on_spark import write_export
from benchmarks.sinks import Sink, limited

LIMITS = (20_000, 15_000, 22_000, 18_000)  # records a second, one after another
STEPS_S = 60.0
FINDS_S = 20.0  # after a step
PIPELINE = """
name: senders-{name}
destination: {{base_url: "{url}", key: "${{BUCKET_SECRET_KEY}}"}}
streams:
  - name: usage
    record: event
    source: {{type: parquet, path: usage.parquet}}
    key: [number]
    fields: {{userId: user, event: {{value: used}}, timestamp: at, attributes: {{amount: amount, feature: feature}}}}
"""


def main() -> None:
    """Measure, and print."""
    options = argparse.ArgumentParser()
    options.add_argument("--rows", type=int, default=4_000_000)
    options.add_argument("--senders", type=int, nargs="+", default=[1, 2, 4])
    asked = options.parse_args()
    with TemporaryDirectory(prefix="senders-") as name:
        folder = Path(name, "export")
        write_export(folder, asked.rows)
        for senders in asked.senders:
            with limited(latency_s=LATENCY_S, records_per_second=LIMITS[0], burst=BURST) as sink:
                used, refused, seconds = measured(folder, sink, senders)
            print(f"{senders} senders: {used:6.1%} used, {refused:5.2%} refused, {seconds:5.0f} s", flush=True)


def measured(folder: Path, sink: Sink, senders: int) -> tuple[float, float, float]:
    """Send, while the limit moves; return the share of it that was used, that of refused requests, and the seconds."""
    file = folder / "usage.yaml"
    file.write_text(PIPELINE.format(name=f"{senders}-{time.time_ns()}", url=sink.url))
    words = ["run", str(file), "--state", os.environ["BENCHMARK_POSTGRES"], "--senders", str(senders), "--quiet"]
    environment = os.environ | {"BUCKET_SECRET_KEY": KEY}
    process = subprocess.Popen([sys.executable, "-m", "bucket_loader", *words], env=environment)  # noqa: S603
    while not sink.requests() and process.poll() is None:
        time.sleep(0.05)
    began, limits = time.monotonic(), cycle(LIMITS)
    while process.poll() is None:
        sink.move(next(limits))
        moves_at = began + STEPS_S * (1 + (time.monotonic() - began) // STEPS_S)
        while time.monotonic() < moves_at and process.poll() is None:
            time.sleep(0.02)
    if process.returncode:
        raise SystemExit(f"it ended with {process.returncode}")
    return shares(sink)


def shares(sink: Sink) -> tuple[float, float, float]:
    """Return which share of the limit was used, which share of the requests was refused, and for how long."""
    history = sink.history()
    bins, bin_s = history["bins"], float(history["bin_s"])
    window = [one for one in range(len(bins) - round(ENDS_S / bin_s)) if one * bin_s % STEPS_S >= FINDS_S]
    admits = sum(LIMITS[int(one * bin_s / STEPS_S) % len(LIMITS)] * bin_s for one in window)
    records, admitted, refused = (sum(column) for column in zip(*(bins[one] for one in window), strict=True))
    return records / admits, refused / (admitted + refused), len(bins) * bin_s


if __name__ == "__main__":
    main()
