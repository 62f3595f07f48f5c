"""What a test does in a Spark session: rows that only Spark has, loaded. Spark's own environment runs it.

It writes what came of each step into a file, as JSON.
"""

import json
import re
import sys
from pathlib import Path

from pyspark.sql import SparkSession, functions

from bucket_loader import BucketLoaderError, load, plan

COMPANIES = {"record": "company", "fields": {"companyId": "id", "attributes": {"name": "name", "seats": "seats"}}}


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
    Path(answers).write_text(json.dumps(found))


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
