"""The house: which module may import which, and who owns each third-party library (DESIGN section 8)."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "bucket_loader"

WORDS = {"errors", "contract", "records", "arrays", "ahead", "config", "pipeline_file"}
STEPS = {"sources", "mapping", "snapshot", "plan", "chunker", "limits", "cursor", "ledger", "state", "sender",
         "dead_letters",
         "report", "terminal", "secrecy", "logs", "metrics"}  # fmt: skip
LINE = {
    "backfilling",
    "planning",
    "delivery",
    "worker",
    "attempts",
    "chunk_queue",
    "run",
    "replaying",
    "settling",
    "ends",
    "auditing",
    "inspection",
    "features",
    "rehearsal",
    "first_pipeline",
    "receipts",
    "start",
}
DOORS = {"cli", "api", "integrations", "__main__", "__init__"}
# Steps that stand on another step, each for the reason beside it.
ON_ANOTHER_STEP = {
    ("plan", "chunker"),  # where one chunk ends is a fact of the plan
    ("limits", "plan"),  # limits are held against a finished plan's manifest
    ("state", "ledger"),  # a state is its folder and its ledger, opened together
    ("state", "sources"),  # an object store is opened as the sources open it
    ("report", "dead_letters"),  # the summary tells why rows were rejected
    ("report", "terminal"),  # it is told on stderr, in tables
    ("logs", "report"),  # the same is told, as objects
    ("logs", "dead_letters"),  # the same
    ("logs", "terminal"),  # and in the same place
    ("logs", "secrecy"),  # without what no log may show
}
OWNERS = {
    "requests": {"sender"},
    "urllib3": {"sender"},
    "httptools": {"sender"},
    "tenacity": {"sender"},
    "click": {"cli"},
    "pydantic": {"config", "pipeline_file"},
    "ruamel": {"pipeline_file"},
    "sqlite3": {"ledger", "sources", "emulator"},
    "duckdb": {"mapping", "snapshot", "sources"},
    "starlette": {"emulator"},
    "uvicorn": {"emulator"},
    "pandas": {"sources", "report", "api"},
    "psycopg": {"ledger"},
    "prometheus_client": {"metrics"},
    "rich": {"report", "terminal", "logs", "cli", "api", "inspection", "features", "integrations"},
    "airflow": {"integrations"},
}


def modules():
    """Give every module of the package with the room it belongs to."""
    for path in sorted(PACKAGE.rglob("*.py")):
        yield path, path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path):
    """Give what a module imports: dotted names, also those inside functions."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def rooms_of(path):
    """Give the rooms of ours that a module imports."""
    for name in imports(path):
        parts = name.split(".")
        if parts[0] == "bucket_loader" and len(parts) > 1:
            yield parts[1] if (PACKAGE / parts[1]).exists() or (PACKAGE / f"{parts[1]}.py").exists() else "__init__"


def allowed(room, other):
    """Tell whether a room may import another."""
    if room == other or room in DOORS:
        return True
    if room == "emulator":
        return other in {"contract", "errors"}
    if room in WORDS:
        return other in WORDS
    if room in STEPS:
        return other in WORDS or (room, other) in ON_ANOTHER_STEP
    return other in WORDS | STEPS | LINE | {"emulator"}


@pytest.mark.parametrize(("path", "room"), list(modules()), ids=lambda value: getattr(value, "name", value))
def test_a_module_imports_only_what_its_layer_allows(path, room):
    """Words import words, a step never another step, only the line joins steps, only doors sit on top."""
    assert room in WORDS | STEPS | LINE | DOORS | {"emulator"}, f"{room} has no place in the house"

    wrong = {other for other in rooms_of(path) if not allowed(room, other)}

    assert wrong == set()


@pytest.mark.parametrize(("path", "room"), list(modules()), ids=lambda value: getattr(value, "name", value))
def test_a_library_is_imported_only_by_its_owner(path, room):
    """One third-party library has one owner, so that replacing it is one room's work."""
    libraries = {name.split(".")[0] for name in imports(path)} & OWNERS.keys()

    assert {library for library in libraries if room not in OWNERS[library]} == set()
