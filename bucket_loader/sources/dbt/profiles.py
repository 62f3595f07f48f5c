"""dbt's profiles.yml: where it lies, and what the target of a profile says of a connection. Nothing of it is shown."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from bucket_loader.config import document
from bucket_loader.model import ConfigError, SourceError, did_you_mean
from bucket_loader.sources.dbt.jinja import rendered

PROJECT_FILE: Final = "dbt_project.yml"
_MERGE: Final = "<<"


@dataclass(frozen=True)
class Target:
    """One way to connect, as a profiles.yml has it.

    Attributes:
        file: that file.
        name: `profile.target`.
        project: the folder that dbt runs in.
        words: what it says, as written.
        lines: the line of each of its words.
    """

    file: Path
    name: str
    project: Path
    words: Mapping[str, Any] = field(repr=False)
    lines: Mapping[str, int]

    def text(self, *names: str) -> str | None:
        """Return the value of the first of these words that is there, rendered; None where none is."""
        name = next((name for name in names if self.words.get(name) is not None), None)
        return None if name is None else rendered(_spelt(self.words[name]), self.place(name))

    def needed(self, *names: str) -> str:
        """Return the value of a word that a connection needs.

        Raises:
            SourceError: it has none.
        """
        if not (text := self.text(*names)):
            raise SourceError(f"{self.file}: {self.name} has no `{names[0]}`", hint="dbt needs it as well: `dbt debug`")
        return text

    def place(self, name: str) -> str:
        """Return where a word stands."""
        return f"{self.file}:{self.lines.get(name, 1)}: {self.name}.{name}"

    def refused(self, name: str, why: str) -> SourceError:
        """Return the error of a word that no source here has a meaning for."""
        return SourceError(
            f"{self.place(name)}: {why}", hint="give `url:` in the pipeline file in place of the profile"
        )


def target_of(profile: str | None, target: str | None, project: Path) -> Target:
    """Find a target in dbt's profiles.yml.

    Args:
        profile: its name; what the project's dbt_project.yml names where it is None.
        target: its name; the profile's own choice where it is None.
        project: the folder of dbt's project.

    Raises:
        SourceError: there is no such file, profile or target.
    """
    profile = profile or profile_of(project)
    file = _found(project)
    read = _read(file)
    profiles = {name: words for name, words in read.data.items() if name != "config"}
    chosen = _member(profiles, profile, f"{file} has no profile {profile!r}")
    outputs = chosen.get("outputs")
    if target is None:
        written = _spelt(chosen.get("target") or "default")
        target = rendered(written, f"{file}: {profile}.target")
    words = _member(
        outputs if isinstance(outputs, dict) else {}, target, f"{file}: profile {profile!r} has no target {target!r}"
    )
    place = (profile, "outputs", target)  # of a word that an anchor brings, the line of the target is told
    lines = {name: read.places.get((*place, name), read.places[place])[0] for name in words}
    return Target(file, f"{profile}.outputs.{target}", project, words, lines)


def profile_of(project: Path) -> str:
    """Return the profile that a dbt_project.yml names.

    Raises:
        SourceError: there is no such file, or it names none.
    """
    file = project / PROJECT_FILE
    if not file.is_file():
        raise SourceError(f"there is no {file}", hint="`project:` is the folder of dbt_project.yml")
    profile = _read(file).data.get("profile")
    if not isinstance(profile, str):
        raise SourceError(f"{file} names no profile", hint="write `profile:` in the pipeline file")
    return rendered(profile, f"{file}: profile")


def _found(project: Path) -> Path:
    """Return the profiles.yml that dbt takes: of DBT_PROFILES_DIR, else the project's own, else the user's."""
    given = os.environ.get("DBT_PROFILES_DIR")
    folders = [Path(given).expanduser()] if given else [project, Path.home() / ".dbt"]
    for folder in folders:
        if (file := folder / "profiles.yml").is_file():
            return file
    looked = " and ".join(map(str, folders))
    raise SourceError(f"there is no profiles.yml in {looked}", hint="set DBT_PROFILES_DIR, or give `url:`")


def _read(file: Path) -> document.Document:
    try:
        read = document.parse(document.read_whole(file), str(file))
    except OSError as error:
        raise SourceError(f"{file} cannot be read: {error.strerror}", hint="let this user read it") from None
    if read.mistakes:  # of a word that stands twice dbt takes the last one, and nobody the one that was meant
        raise ConfigError(str(file), read.mistakes)
    read.data = _merged(read.data)
    return read


def _merged(data: Any) -> Any:  # noqa: ANN401  # data of any shape
    """Return data with what `<<:` brings from an anchor; what is written beside it wins."""
    if isinstance(data, list):
        return [_merged(item) for item in data]
    if not isinstance(data, dict):
        return data
    found: dict[str, Any] = {}
    brought = data.get(_MERGE, [])
    for more in reversed(brought if isinstance(brought, list) else [brought]):
        found |= _merged(more) if isinstance(more, dict) else {}
    return found | {name: _merged(value) for name, value in data.items() if name != _MERGE}


def _member(members: Mapping[str, Any], name: str, otherwise: str) -> Mapping[str, Any]:
    words = members.get(name)
    if not isinstance(words, dict):
        known = sorted(members)
        raise SourceError(otherwise, hint=did_you_mean(name, known, f"it has: {', '.join(known) or 'none'}"))
    return words


def _spelt(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
