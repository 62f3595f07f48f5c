"""`impact`: how long it takes to evaluate features for every company that a plan touches, before and after.

    python -m benchmarks.impact                       a million companies, all of which change, and 50 features
    python -m benchmarks.impact --rows 100000         fewer
    python -m benchmarks.impact --format json         with every flip in the answer

A plan is made before; it and the definitions are given, so that the figures are those of impact alone.
"""

import argparse
import json
import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.changes import KEY, PIPELINE, make_export, measured, pipeline_of, plan_it, remember_it, spelt

VALUES = {
    "plan": ("pro", "team"), "seats": ("100", "250"), "mrr": ("500", "-1"), "region": ("eu", "us"), "name": ("9", "Co"),
}  # fmt: skip
OPERATORS = ("IS", "IS_NOT", "CONTAINS", "NOT_CONTAINS", "ANY_OF", "SET", "GT", "LT", "NOT_SET", "IS_TRUE")


def features(count: int) -> list[dict[str, Any]]:
    """Return features: most ask for two attributes, and each fifth is a rollout over ids."""
    return [
        {"key": f"feature-{number}", "targeting": {"version": 1, "rules": [{"filter": _filter(number)}]}}
        for number in range(count)
    ]


def _filter(number: int) -> dict[str, Any]:
    names = list(VALUES)
    filters = [_comparison(names[(number + step) % len(names)], number + step) for step in range(2)]
    if number % 5 == 0:
        share = {"partialRolloutAttribute": "company.id", "partialRolloutThreshold": 1000 * (number + 10)}
        filters[1] = {"type": "rolloutPercentage", "key": f"feature-{number}", **share}
    return {"type": "group", "operator": ("and", "or")[number % 2], "filters": filters}


def _comparison(name: str, number: int) -> dict[str, Any]:
    operator = OPERATORS[number % len(OPERATORS)]
    return {"type": "context", "field": f"company.{name}", "operator": operator, "values": list(VALUES[name][:1])}


def report(rows: int, count: int, form: str) -> None:
    """Print the figures for so many companies."""
    with TemporaryDirectory(prefix="benchmark-") as name:
        folder = Path(name)
        (folder / "features.json").write_text(json.dumps({"features": features(count)}))
        pipeline_of(folder, "values").write_text(PIPELINE.replace("REMEMBER", "values"))
        make_export(folder, rows, "false")
        plan_it(folder, "values")
        remember_it(folder, "values")
        make_export(folder, rows, "true")
        plan_it(folder, "values")
        (plan,) = folder.glob("state-values/*/plans/*")
        words = ["--plan", str(plan), "--features", str(folder / "features.json"), "--format", form, "--quiet"]
        place = ("--state", str(folder / "state-values"))
        cost = measured(folder, "-m", "bucket_loader", "impact", str(pipeline_of(folder, "values")), *place, *words)
        print(spelt(f"impact, {count} features, {form}", rows, cost), flush=True)
        print(cost.stdout[-200:] if form == "text" else f"{len(cost.stdout):,} characters")


def main() -> None:
    """Measure it."""
    parser = argparse.ArgumentParser(description="What a plan changes about features.")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--features", type=int, default=50)
    parser.add_argument("--format", default="text", choices=["text", "json", "csv"])
    arguments = parser.parse_args()
    os.environ["BUCKET_SECRET_KEY"] = KEY
    print(f"{'':<24} {'rows':>12} {'seconds':>9} {'CPU s':>9} {'us a row':>9} {'peak MB':>8}")
    report(arguments.rows, arguments.features, arguments.format)


if __name__ == "__main__":
    main()
