"""What the tests of the pipeline file share: a file that is right, and the mistakes of one that is not."""

from pathlib import Path

from bucket_loader.config.yaml_file import load_pipeline
from bucket_loader.model.errors import ConfigError

KEY = "sec_prod_0123456789"
VARIABLES = {"KEY": KEY}
BASE = """\
name: nightly
destination: {key: "${KEY}"}
streams:
  - name: users
    record: user
    source: {type: csv, path: users.csv}
    fields: {userId: id}
"""


def load(folder: Path, text, variables=None):
    """Write a pipeline file and read it."""
    file = folder / "pipeline.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
    return load_pipeline(file, variables=VARIABLES if variables is None else variables)


def mistakes(folder: Path, text, variables=None):
    """Return the mistakes of a pipeline file; every one has its place, and none shows the key."""
    error = None
    try:
        load(folder, text, variables)
    except ConfigError as caught:
        error = caught
    if error is None:
        return []
    for one in error.mistakes:
        assert one.line is not None, one
        assert one.column is not None, one
        assert f":{one.line}:{one.column}: " in str(error)
    assert KEY not in str(error)
    assert error.exit_code == 2
    return error.mistakes


def at(found):
    """Return each mistake as (path, line, column)."""
    return [(one.path, one.line, one.column) for one in found]


def fields(text):
    """Return the base file with other fields."""
    return BASE.replace("{userId: id}", text)


def destination(text):
    """Return the base file with another destination."""
    return BASE.replace('{key: "${KEY}"}', text)
