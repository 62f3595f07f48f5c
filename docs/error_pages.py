"""The pages about errors, from the code: each error with its cause and what mends it, and every message."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from bucket_loader.delivery.course import next_step
from bucket_loader.model import REASONS, BucketLoaderError
from bucket_loader.model.errors import InterruptedRunError

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "bucket_loader"
AREAS = {
    "cli": "The command line",
    "config": "The pipeline file",
    "sources/files": "Files",
    "sources/stores": "Object stores and the web",
    "sources/lakes": "Delta and Iceberg",
    "sources/databases": "Databases",
    "sources": "Other sources",
    "planning": "The mapping and the plan",
    "state": "The state",
    "delivery": "Delivery",
    "runs": "Runs",
    "integrations": "Airflow and pytest",
    "": "All the rest",
}


def errors() -> str:
    """Return `errors.md`: what stops a run, what becomes of a request, why a row is rejected."""
    return "\n".join([_ERRORS_HEAD, *_kinds(), _VERDICTS_HEAD, *_verdicts(), _REASONS_HEAD, *_reasons()])


_ERRORS_HEAD = """# Errors: cause and mend

An **error** stops a run. A **verdict** is what became of one request. A **reason** says why one row was rejected, and
stops nothing. This page comes from the code, by `python docs/make.py`. Each error also prints a hint that fits the case
at hand: read that first. [Troubleshooting](troubleshooting.md) goes by what you see.

## What stops a run

Running again is safe after all of them.
"""
_VERDICTS_HEAD = """
## What became of a request

The loader acts by itself; [How delivery works](delivery.md#verdicts) says how. This is what is left for you.

| verdict | what happened | what you do |
|---|---|---|"""
_REASONS_HEAD = """
## Why a row was rejected

The code stands in the summary, and in the dead letter of the row, under `reasons`.
[Dead letters](how-to/dead-letters.md) says how such rows are sent after all.

| code | cause | mend |
|---|---|---|"""


def tree(kind: type[BucketLoaderError] = BucketLoaderError) -> Iterator[type[BucketLoaderError]]:
    """Return the errors of `model/errors.py`, each before those that are kinds of it."""
    if kind.__module__ == "bucket_loader.model.errors":
        yield kind
        for one in kind.__subclasses__():
            yield from tree(one)


def meaning(kind: type[BucketLoaderError]) -> tuple[str, str, str]:
    """Return what an error's docstring says: what it is, its cause, what mends it. Empty where it does not say it."""
    text = " ".join((kind.__doc__ or "").split())
    first, _, rest = text.partition(" Cause: ")
    cause, _, mend = rest.partition(" Mend: ")
    return first, cause, mend


def _kinds() -> Iterator[str]:
    for kind in tree():
        first, cause, mend = meaning(kind)
        code = "129, 130 or 143" if kind is InterruptedRunError else kind.exit_code
        yield f"### {kind.__name__}\n\n{first}\n"
        yield f"- **Exit code:** {code}\n- **Cause:** {_sentence(cause)}\n- **Mend:** {mend}\n"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def verdicts() -> list[list[str]]:
    """Return the table of verdicts: verdict, what happened, what follows, what a person does."""
    lines = [line.strip() for line in (next_step.__doc__ or "").splitlines() if line.strip().startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def _verdicts() -> Iterator[str]:
    for verdict, happened, _, mend in verdicts():
        yield f"| `{verdict}` | {happened} | {mend} |"


def _reasons() -> Iterator[str]:
    for code, meant in sorted(REASONS.items()):
        yield f"| `{code}` | {meant.cause} | {meant.mend} |"
    yield ""


@dataclass(frozen=True)
class Message:
    """One place in the code that raises an error.

    Attributes:
        place: the file, below the package, and its line.
        kind: the error's name.
        text: the message, with `…` for what is filled in.
        hint: the hint, likewise; None where it has none.
    """

    place: str
    kind: str
    text: str
    hint: str | None


def raised() -> Iterator[Message]:
    """Return every message that the package raises, in the order of its files."""
    kinds = _names()
    for place, name, call in _calls():
        known = {**kinds, "ValueError": "ConfigError"} if place.startswith("config/") else kinds  # pydantic tells them
        if name in known:
            yield _message(call, name, known[name], place)


@cache  # the tests ask several times, and reading the whole package takes seconds
def _calls() -> tuple[tuple[str, str, ast.Call], ...]:
    asked = {*_names(), "ValueError", *_CODE_IS}
    return tuple(
        (f"{file.relative_to(PACKAGE).as_posix()}:{node.lineno}", node.func.id, node)
        for file in sorted(PACKAGE.rglob("*.py"))
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in asked
    )


def _names() -> dict[str, str]:
    kinds = {kind.__name__: kind.__name__ for kind in tree()}
    return kinds | {"Mistake": "ConfigError", "NothingFoundError": "SourceError"}


def refused() -> Iterator[Message]:
    """Return what is said of rejected rows: the kind is the reason's code, and the hint is what mends it."""
    for place, name, call in _calls():
        first = _CODE_IS.get(name)
        if first is not None and len(call.args) > first + 1:
            code, text = words(call.args[first]), words(call.args[first + 1])
            if code in REASONS:
                yield Message(place, f"`{code}`", text, REASONS[code].mend)


_CODE_IS = {"Reason": 0, "Wrong": 1, "Check": 2}  # which argument is the code; the message follows it


def _message(call: ast.Call, name: str, kind: str, place: str) -> Message:
    named = {keyword.arg: keyword.value for keyword in call.keywords}
    given = call.args[1:] if name == "Mistake" else call.args
    text = named.get("message", given[0] if given else None)
    hint = named.get("hint", given[1] if len(given) > 1 and name == "Mistake" else None)
    return Message(place, kind, words(text), None if hint is None else words(hint))


def words(node: ast.AST | None) -> str:
    """Return a text of the code, with `…` for what is filled in."""
    match node:
        case ast.Constant(value=str() as text):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(words(part) for part in parts)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return words(left) + words(right)
        case ast.BoolOp(values=[*_, last]):
            return words(last)
    return "…"


def messages() -> str:
    """Return every message whose words stand in the code, by what it is about: the list of `messages.md`."""
    found: dict[str, dict[str, Message]] = {title: {} for title in AREAS.values()}
    for one in raised():
        if re.search(r"\w\w", one.text):
            found[_area(one.place)].setdefault(one.text, one)
    found["Rows that are rejected"] = {one.text: one for one in refused() if re.search(r"\w\w", one.text)}
    parts = []
    for title, listed in found.items():
        if listed:
            parts.append(f"\n## {title}\n")
            parts += [_entry(one) for one in sorted(listed.values(), key=lambda one: one.text.lower())]
    return "\n".join([*parts, ""])


def _area(place: str) -> str:
    return next(title for folder, title in AREAS.items() if place.startswith(f"{folder}/") or not folder)


def _entry(one: Message) -> str:
    hint = "" if one.hint in {None, "…", ""} else f"<br>{_shown(one.hint or '')}"
    return f"- **{_shown(one.text)}** ({one.kind}){hint}"


def _shown(text: str) -> str:
    """Return a text as Markdown that shows it as it is, but for its own code letters."""
    line = " ".join(text.split())
    return "".join(
        part
        if place % 2
        else re.sub(r"([\\*_\[\]<>#|{}])", r"\\\1", part).replace("\\<", "&lt;").replace("\\>", "&gt;")
        for place, part in enumerate(re.split(r"(`[^`]*`)", line))
    )
