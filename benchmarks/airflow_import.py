"""What reading a DAG file costs beyond Airflow itself: milliseconds to import the operator, in Airflow 2 and 3.

    .venv/bin/python -m benchmarks.airflow_import     (after `make airflow`)

A DAG file is read by every scheduler loop and every task, so this is paid all day. The aim is below 100 ms.
"""

import os
import statistics
import subprocess
from pathlib import Path

ENVIRONMENTS = Path(os.environ.get("BUCKET_LOADER_AIRFLOW", Path(__file__).parents[1] / ".airflow"))
ROUNDS = 5
SCRIPT = """
import time
started = time.perf_counter()
from airflow import DAG
from bucket_loader.integrations.airflow import versions
airflow = time.perf_counter() - started
started = time.perf_counter()
from bucket_loader.integrations.airflow import BucketLoadOperator
print(airflow * 1000, (time.perf_counter() - started) * 1000)
"""


def measured(python: Path) -> tuple[float, float]:
    """Return the medians of both, in milliseconds."""
    times = []
    for _ in range(ROUNDS):
        printed = subprocess.run([str(python), "-c", SCRIPT], capture_output=True, text=True, check=True).stdout  # noqa: S603
        times.append([float(word) for word in printed.split()[-2:]])
    airflow, ours = zip(*times, strict=True)
    return statistics.median(airflow), statistics.median(ours)


def main() -> None:
    """Measure every Airflow that `make airflow` has installed."""
    for python in sorted(ENVIRONMENTS.glob("*/bin/python")):
        airflow, ours = measured(python)
        print(f"Airflow {python.parts[-3]}: Airflow itself {airflow:,.0f} ms, the operator {ours:.1f} ms more")


if __name__ == "__main__":
    main()
