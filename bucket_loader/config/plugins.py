"""Source types of other packages, by their entry points.

    [project.entry-points."bucket_loader.sources"]
    fixed_width = "bucket_loader_fixed_width:SOURCE"  # a `SourceType`, the same row as ours are

They are looked for when a type is not one of ours, so that no start pays for it. A package is imported when its type is
used: one that is broken is in nobody else's way.
"""

from collections.abc import Iterable, Iterator
from functools import cache
from typing import TYPE_CHECKING, Final

from bucket_loader.config.source_base import SourceSpec
from bucket_loader.config.sources import SOURCE_TYPES, SourceType, type_of_path
from bucket_loader.model import UsageError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP: Final = "bucket_loader.sources"
OURS: Final = {name: row for row in SOURCE_TYPES for name in row.names}
# What importing somebody's code raises when it does not fit this environment.
BROKEN: Final = (
    ImportError, SyntaxError, AttributeError, NameError, TypeError, ValueError, LookupError, OSError, RuntimeError,
)  # fmt: skip
_rows: Final[dict[str, SourceType]] = {}  # of the packages that were used


class PluginError(UsageError):
    """A package that offers a source type cannot be used."""


@cache
def _offered() -> dict[str, list["EntryPoint"]]:
    """Return what installed packages offer, by the name of the type."""
    from importlib.metadata import entry_points

    found: dict[str, list[EntryPoint]] = {}
    for entry in entry_points(group=GROUP):
        found.setdefault(entry.name, []).append(entry)
    return found


def is_plugin(name: str) -> bool:
    """Whether another package offers a type of this name, and it is not one of ours."""
    return name not in OURS and name in _offered()


def source_names() -> list[str]:
    """Return the names that `type:` may have in a file: ours, then those of other packages."""
    ours = [name for name, row in OURS.items() if row.is_for_files]
    return [*ours, *sorted(name for name in _offered() if name not in OURS)]


def type_named(name: str) -> SourceType | None:
    """Return the source type of a name; None where nobody has one.

    Raises:
        PluginError: the package that offers it cannot be used.
    """
    return OURS.get(name) or (_plugged(name) if is_plugin(name) else None)


def type_of(model: type[SourceSpec]) -> SourceType:
    """Return the row of a model."""
    return next(row for row in (*SOURCE_TYPES, *_rows.values()) if row.model is model)


def type_by_end(path: str) -> SourceType | None:
    """Return the source type that a path's end speaks for: ours, else one of another package; None where none does."""
    return type_of_path(path) or type_of_path(path, usable_plugins())


def usable_plugins() -> tuple[SourceType, ...]:
    """Return the source types of all packages that can be imported."""
    return tuple(row for row, _ in _tried() if row is not None)


def complaints() -> tuple[str, ...]:
    """Return what is wrong with what packages offer, a sentence each."""
    ours = taken_names(row.model for row in SOURCE_TYPES)
    return (*ours, *(error.message for _, error in _tried() if error is not None))


def taken_names(models: Iterable[type[SourceSpec]]) -> tuple[str, ...]:
    """Return which names of these models of ours another package offers too, a sentence each."""
    used = set(models)
    return tuple(
        f"`type: {name}` is one of bucket_loader's own: what {_packages(_offered()[name])} offers as such is not used"
        for name, row in OURS.items()
        if row.model in used and name in _offered()
    )


def package_of(row: SourceType) -> str:
    """Return the package that offers a source type, for a message; empty for one of ours."""
    return _packages(_offered()[row.name]) if row.name in _rows else ""


def _tried() -> Iterator[tuple[SourceType | None, PluginError | None]]:
    for name in sorted(_offered()):
        if name in OURS:
            continue
        try:
            yield _plugged(name), None
        except PluginError as error:
            yield None, error


def _plugged(name: str) -> SourceType:
    """Import the package that offers a type, once."""
    if name in _rows:
        return _rows[name]
    entries = _offered()[name]
    packages = _packages(entries)
    if len(entries) > 1:
        raise PluginError(f"`type: {name}` is offered by several packages: {packages}", hint="uninstall all but one")
    try:
        row = entries[0].load()
    except BROKEN as error:
        raise PluginError(
            f"`type: {name}` comes with {packages}, which cannot be imported: {type(error).__name__}: {error}",
            hint="install a version of it that fits, or ask its authors",
        ) from error
    if not isinstance(row, SourceType) or row.names != (name,):
        raise PluginError(
            f"`type: {name}` comes with {packages}, whose {entries[0].value!r} is no SourceType of that name",
            hint="its authors find how to write one in docs/how-to/source-plugin.md",
        )
    return _rows.setdefault(name, row)


def _packages(entries: list["EntryPoint"]) -> str:
    """Return the packages of entry points, with their versions."""
    found = [one.dist for one in entries]
    return " and ".join("an unknown package" if dist is None else f"{dist.name} {dist.version}" for dist in found)
