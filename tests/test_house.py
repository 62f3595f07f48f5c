"""The house: which room may know which, no circle anywhere, one owner for each third-party library, short functions.

A room is a folder of the package. Every import counts, also one inside a function or for types alone.
"""

import ast
import re
import sys
from collections import Counter
from pathlib import Path
from statistics import median

PACKAGE = Path(__file__).parents[1] / "bucket_loader"
ENTRIES_MAX = 16
FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 40
FUNCTION_LINES_MEDIAN_MAX = 8
MAY_BE_LONG = {"bucket_loader.model.contract"}  # the API, field by field

IN_ALL = {"bucket_loader", *sys.stdlib_module_names}

# A room knows only those of a lower floor; two on one floor do not know each other.
FLOORS = {
    "model": 0,
    "config": 1,
    "sources": 2,
    "state": 3,
    "planning": 4,
    "reporting": 4,
    "delivery": 5,
    "runs": 6,
    "cli": 7,
    "integrations": 7,
    "plugins": 7,
    "testing": 7,
    "": 8,  # the package itself: its public names, and `python -m`
}
MAY_KNOW_THE_EMULATOR = {"bucket_loader.runs.rehearse", "bucket_loader.testing"}
OWNERS = {
    "IPython": {"reporting"},  # where a notebook is, it is
    "adbc_driver_manager": {"sources"},
    "adbc_driver_postgresql": {"sources"},
    "adbc_driver_snowflake": {"sources"},
    "airflow": {"integrations"},
    "click": {"cli"},
    "dagster": {"integrations"},
    "deltalake": {"sources"},
    "duckdb": {"sources", "state", "planning", "runs"},  # each asks its own questions, of Arrow batches that it holds
    "flask_appbuilder": {"integrations"},
    "google": {"sources"},
    "httptools": {"delivery"},
    "lazy_loader": {"model", "config", "sources", "state", "planning", "reporting", "delivery", "runs", "cli",
                    "emulator"},  # every room's list of names
    "msgspec": {"model", "sources", "state", "planning", "reporting", "delivery", "runs",
                "emulator"},  # what JSON is, everywhere
    "numpy": {"model", "sources", "state", "planning", "runs"},  # what Arrow arrays are made from
    "openlineage": {"reporting"},
    "openlineage_sql": {"sources"},  # it parses the queries of databases
    "openpyxl": {"sources"},
    "pandas": {"sources", "reporting", "runs"},  # frames in, `to_frame()` out
    "prometheus_client": {"reporting"},
    "psycopg": {"state"},
    "pyarrow": {"model", "sources", "state", "planning", "runs", "testing"},  # what rows travel in
    "py4j": {"sources"},
    "pydantic": {"config", "integrations"},  # Dagster's resources and components are models of it
    "pydantic_core": {"config"},
    "pyiceberg": {"sources"},
    "pymysql": {"sources"},
    "pyspark": {"sources"},
    "pytest": {"integrations"},
    "requests": {"delivery"},
    "rich": {"reporting"},
    "ruamel": {"config"},
    "sqlalchemy": {"sources"},
    "starlette": {"emulator"},
    "tenacity": {"delivery"},
    "urllib3": {"delivery"},
    "uvicorn": {"emulator"},
    "wtforms": {"integrations"},
}  # fmt: skip


def files():
    """Return every file of the package by its dotted name; a room's list of names stands for its `__init__`."""
    found = {}
    for path in sorted((*PACKAGE.rglob("*.py"), *PACKAGE.rglob("*.pyi"))):
        found[".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")] = path
    return found


FILES = files()


def room(name):
    """Return the room that a file stands in: a folder's name, or "" for the package itself."""
    parts = name.split(".")
    is_folder = (PACKAGE / parts[1]).is_dir() if len(parts) > 1 else False
    return parts[1] if is_folder else "" if name in {"bucket_loader", "bucket_loader.__main__"} else None


def imports(name):
    """Return what a file imports, as pairs: a module's dotted name, and the name that is taken from it or None."""
    path = FILES[name]
    is_package = path.stem == "__init__"
    found = []
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found += [(alias.name, None) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            package = name.split(".") if is_package else name.split(".")[:-1]
            above = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*above, *([node.module] if node.module else [])])
            found += [(module, alias.name) for alias in node.names]
    return found


def exported(module):
    """Return where each name of a room, or of a folder in it, has its home."""
    return {name: home for home, name in imports(module) if name and home.startswith("bucket_loader")}


EXPORTED = {name: exported(name) for name, path in FILES.items() if path.stem == "__init__"}


def home(module, taken):
    """Return the file that a name comes from, through the lists of the rooms that hand it on."""
    if taken and f"{module}.{taken}" in FILES:
        return f"{module}.{taken}"
    while module in EXPORTED and taken in EXPORTED[module]:
        further = EXPORTED[module][taken]
        if f"{further}.{taken}" in FILES:
            return f"{further}.{taken}"
        module = further
    return module


def own_imports(name):
    """Return the imports of our own: what is written, and the file that it comes from."""
    return [(module, home(module, taken)) for module, taken in imports(name) if module.split(".")[0] == "bucket_loader"]


def circles():
    """Return the groups of files that import each other, each as sorted names."""
    edges = {
        name: {found for _, found in own_imports(name) if found in FILES and found != name}
        for name in FILES
        if name not in EXPORTED  # a room's list of names is followed to where each has its home
    }
    reached = {name: set(targets) for name, targets in edges.items()}
    changed = True
    while changed:
        changed = False
        for targets in reached.values():
            further = set().union(*(reached.get(target, set()) for target in targets)) - targets
            targets.update(further)
            changed = changed or bool(further)
    inside = {name: frozenset(one for one in edges if one in reached[name] and name in reached.get(one, set()))
              for name in edges}  # fmt: skip
    return sorted({tuple(sorted(group)) for group in inside.values() if group})


def functions(path):
    """Return the functions of a file, also those inside others, as pairs: the name, and how many lines it has."""
    nodes = [node for node in ast.walk(ast.parse(path.read_text("utf-8")))
             if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]  # fmt: skip
    return [(node.name, node.end_lineno - node.lineno + 1) for node in nodes]


def too_long():
    """Return the files and functions that a reader cannot take in at once."""
    for name, path in FILES.items():
        if len(path.read_text("utf-8").splitlines()) > FILE_LINES_MAX and name not in MAY_BE_LONG:
            yield f"too long: {name}"
        yield from (f"too long: {name} {found}" for found, lines in functions(path) if lines > FUNCTION_LINES_MAX)


def violations():
    """Return what is against the rules of the house, a line each."""
    yield from too_long()
    for name in FILES:
        here = room(name)
        if here is None or (here and here not in FLOORS and here != "emulator"):
            yield f"no room: {name}"
            continue
        for written, found in own_imports(name):
            yield from _wrong(name, here, written, found)
        for module, _ in imports(name):
            library = module.split(".")[0]
            if library not in IN_ALL and here not in OWNERS.get(library, ()):
                yield f"rule 4: {name} imports {library}"
    yield from (f"rule 2: {' '.join(group)}" for group in circles())


def _wrong(name, here, written, found):
    there = room(found)
    if there is None or there == here or (found == "bucket_loader" and here in {"cli", "integrations"}):  # its version
        return
    if there == "emulator" or here == "emulator":
        if here == "emulator" and there != "model":
            yield f"rule 5: {name} knows {found}"
        if there == "emulator" and here != "cli" and name not in MAY_KNOW_THE_EMULATOR:
            yield f"rule 5: {name} knows {found}"
    elif FLOORS.get(there, 0) >= FLOORS.get(here, 0):
        yield f"rule 1: {name} knows {found}"
    if here and len(written.split(".")) > 2:
        yield f"rule 3: {name} reaches into {written}"


def test_the_house_holds_its_rules():
    """A room knows what stands before it, through its list of names; no circle; one owner a library; short pieces."""
    assert sorted(set(violations())) == []


def test_what_follows_from_an_answer_knows_the_model_alone():
    """A chunk's course is a value: no thread, no clock, no ledger, no socket, no library."""
    modules = {module for module, _ in imports("bucket_loader.delivery.course")}

    assert {module for module in modules if module.split(".")[0] not in sys.stdlib_module_names} == {
        "bucket_loader.model"
    }
    assert not modules & {"threading", "time", "socket", "random", "sqlite3"}


def test_half_of_the_functions_are_short():
    """The median function has at most eight lines."""
    lines = [lines for path in FILES.values() for _, lines in functions(path)]

    assert median(lines) <= FUNCTION_LINES_MEDIAN_MAX


def test_the_package_has_few_entries():
    """A reader sees all rooms at once."""
    assert len([path for path in PACKAGE.iterdir() if path.name != "__pycache__"]) <= ENTRIES_MAX


def test_no_two_modules_of_tests_have_one_name():
    """They are found by their names alone, whatever folder they lie in: the second would never be imported."""
    names = Counter(
        path.stem for path in Path(__file__).parent.rglob("*.py") if path.stem not in {"conftest", "__init__"}
    )

    assert [name for name, count in names.items() if count > 1] == []


def test_no_folder_stands_in_for_a_target():
    """`make tests` beside a folder `tests` would find that all is done, and test nothing."""
    text = (Path(__file__).parents[1] / "Makefile").read_text("utf-8").replace("\\\n", " ")
    phony = set(re.search(r"^\.PHONY:(.*)$", text, re.MULTILINE)[1].split())

    assert set(re.findall(r"^([a-z][\w-]*):(?!=)", text, re.MULTILINE)) == phony
