"""What a test does in a Spark session: rows that only Spark has, loaded. Spark's own environment runs it.

It writes what came of each step into a file, as JSON.
"""

import json
import re
import sys
from pathlib import Path

from click.testing import CliRunner
from pyspark.sql import SparkSession, functions
from spark_export import digest_of

from bucket_loader import BucketLoaderError, load, plan
from bucket_loader.cli.commands import main as command_line

COMPANIES = {"record": "company", "fields": {"companyId": "id", "attributes": {"name": "name", "seats": "seats"}}}
VISITS = """
name: visits
destination: {{base_url: "${{BUCKET_BASE_URL}}", key: "${{BUCKET_SECRET_KEY}}"}}
streams:
  - name: visits
    record: event
    source: {{type: spark, query: "select * from parquet.`{folder}` where {where}", order_by: [number]}}
    key: [number]
    fields: {{userId: user, event: {{value: visited}}, timestamp: at}}
"""
DAILY = "at >= :interval_start and at < :interval_end"


def main(answers, url, page):
    """Do the steps."""
    session = SparkSession.builder.getOrCreate()
    numbers = session.range(0, 5000, 1, 3)
    frame = numbers.selectExpr("concat('c', id) AS id", "concat('Name ', id) AS name", "CAST(id % 50 AS INT) AS seats")
    folder = Path(answers).parent
    words = {"destination": {"base_url": url, "key": "sec_test_0123456789abcdef0123"}, "engine": "spark", **COMPANIES}
    words["state"] = folder / "state"
    found = {}

    found["loaded"] = load(frame, name="a", **words).as_json()
    changed = frame.withColumn("seats", functions.expr("IF(id = 'c7', 99, seats)"))
    found["changed"] = load(changed, name="a", **words).as_json()

    twice = changed.union(changed.withColumn("seats", functions.expr("seats + 1000")))
    found["ordered"] = least_seats(plan(twice, name="b", order_by=["seats"], **words))
    twice.write.parquet(str(folder / "twice"))
    files = session.read.parquet(str(folder / "twice"))
    places = ["_metadata.file_path", "_metadata.row_index"]
    found["of files"] = [least_seats(plan(files, name="c", order_by=places, **words)) for _ in range(2)]

    stamped = frame.selectExpr("*", "id <> 'c3' AS is_active", "current_timestamp() AS updated_at")
    stamped.createOrReplaceTempView("accounts")
    (example,) = re.findall(r"```python\n(.+?)```", Path(page).read_text("utf-8"), re.DOTALL)
    given = {"spark": session, "state": folder / "state"}
    exec(example, given)  # noqa: S102  # the example of the docs
    found["example"] = given["summary"].as_json()

    found["refused"] = {
        "no name": refused(frame, **words),
        "no order": refused(twice, name="d", **words),
        "order of another": refused(frame.toPandas(), order_by=["id"], **words),
        "no such column": refused(frame, name="e", order_by=["nope"], **words),
    }
    found |= of_commands(session, folder)
    Path(answers).write_text(json.dumps(found))


def of_commands(session, folder):
    """Return what commands come to that read on: by days, and from a cursor on; by tasks, and through this process."""
    visits = folder / "visits"
    write_visits(session, visits, range(900))
    daily = folder / "daily.yaml"
    daily.write_text(VISITS.format(folder=visits, where=DAILY))
    days = ["--from", "2026-01-01", "--to", "2026-01-04", "--every", "day"]
    found = {"backfill": told("backfill", daily, *days, "--state", folder / "daily")["windows"]}

    on = folder / "on.yaml"
    on.write_text(VISITS.format(folder=visits, where="number >= :cursor") + "    cursor: {column: number, start: 0}\n")
    words = [on, "--state", folder / "on", "--as-of", "2026-02-01T00:00:00Z"]
    told("run", *words)
    write_visits(session, visits, range(900, 250_900))
    plans = [told("plan", *words, engine=engine) for engine in ("spark", "local")]
    found["read on"] = [plan["streams"]["visits"]["read"] for plan in plans]
    found["digests"] = [digest_of(Path(plan["plan"])) for plan in plans]
    found["parts"] = len(list(Path(plans[0]["plan"]).glob("00-visits*.parquet")))
    return found


def write_visits(session, folder, numbers):
    """Add visits: 300 a day in three days, and then one a second, of which some have no user."""
    rows = session.range(numbers.start, numbers.stop, 1, 3)
    moment = "timestamp_seconds(1767225600 + least(id * 288, 259200 + id)) AS at"
    user = "IF(id > 900 AND id % 1009 = 0, NULL, concat('v', id % 5000)) AS user"
    rows.selectExpr("id AS number", user, moment).write.mode("append").parquet(str(folder))


def told(*words, engine="spark"):
    """Return what a command prints, as JSON."""
    result = CliRunner().invoke(command_line, [*map(str, words), "--engine", engine, "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout.splitlines()[-1])


def least_seats(planned):
    """Return the least number of seats, and how many companies there are."""
    seats = [record["attributes"]["seats"] for record in planned.records()]
    return min(seats), len(seats)


def refused(table, **words):
    """Return why a table is refused, and the exit code."""
    try:
        plan(table, **words)
    except BucketLoaderError as error:
        return str(error), error.exit_code
    return None


if __name__ == "__main__":
    main(*sys.argv[1:])
