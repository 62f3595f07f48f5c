"""Print where the file for `spark-submit` is: it takes a path, and knows no modules."""

from pathlib import Path

print(Path(__file__).with_name("submit.py"))  # noqa: T201  # that is what it is asked for
