"""All environments of one process: found by name or key, made and taken away while it runs.

With `--data` they are there again after a restart: `main` in the folder itself, each other one in a folder of its own
below it, and their names and keys in one small file.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final, TypeAlias

import msgspec
from msgspec import Meta, Struct

from bucket_loader.emulator.environment import Environment, Start
from bucket_loader.emulator.store.keys import Keys
from bucket_loader.model import StateError, UsageError, json_mistake, written_whole

MAIN: Final = "main"
Name: TypeAlias = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")]  # it names a folder too
Key: TypeAlias = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9._~-]{1,200}\Z")]  # fits into a header and into a path

_LIST: Final = "environments.json"
_FOLDERS: Final = "environments"


class Wanted(Struct, rename="camel", forbid_unknown_fields=True):
    """An environment to make; what is left out is made up."""

    name: Name | None = None
    secret_key: Key | None = None
    publishable_key: Key | None = None


class Known(Struct, rename="camel"):
    """An environment: its name, and the keys of the calls that belong to it."""

    name: str
    secret_key: str
    publishable_key: str

    @classmethod
    def of(cls, environment: Environment) -> "Known":
        """Show an environment."""
        return cls(environment.name, environment.keys.secret, environment.keys.publishable)


class Environments:
    """The environments, the first of which is `main`.

    Attributes:
        main: the environment of the command line; calls whose key nobody knows are noted there.
        by_secret: each environment by its secret key, as bytes.
        by_publishable: the same by its publishable key.
    """

    def __init__(self, keys: Keys, start: Start | None = None, data_dir: Path | None = None) -> None:
        self.by_secret: dict[bytes, Environment] = {}
        self.by_publishable: dict[bytes, Environment] = {}
        self._by_name: dict[str, Environment] = {}
        self._start = start or Start()
        self._data_dir = data_dir
        self.main = self._open(MAIN, keys)
        try:
            for known in self._kept():
                self._refuse_taken(known.name, known.secret_key, known.publishable_key)
                self._open(known.name, Keys(known.secret_key, known.publishable_key))
        except BaseException:
            self.close()
            raise

    def __iter__(self) -> Iterator[Environment]:
        """Yield all, `main` first."""
        return iter(list(self._by_name.values()))

    def get(self, name: str) -> Environment | None:
        """Return the environment of a name."""
        return self._by_name.get(name)

    def make(self, wanted: Wanted) -> Environment:
        """Make an environment, which begins as `main` did.

        Raises:
            UsageError: its name or one of its keys is taken.
        """
        name = wanted.name or self._free_name()
        keys = Keys.random().with_given(wanted.secret_key, wanted.publishable_key)
        self._refuse_taken(name, keys.secret, keys.publishable)
        folder = self._folder(name)
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)  # of one whose end was broken off
        environment = self._open(name, keys)
        self._keep()
        return environment

    def remove(self, environment: Environment) -> None:
        """Take an environment away, with all that it holds; never `main`."""
        del self._by_name[environment.name]
        del self.by_secret[environment.keys.secret.encode()]
        del self.by_publishable[environment.keys.publishable.encode()]
        self._keep()
        environment.forget()
        folder = self._folder(environment.name)
        if folder is not None:
            shutil.rmtree(folder)

    def end_waiting(self) -> None:
        """Let nobody wait any longer for what is still to come."""
        for environment in self:
            environment.end_waiting()

    def close(self) -> None:
        """Let go of all files."""
        for environment in self:
            environment.close()

    def _open(self, name: str, keys: Keys) -> Environment:
        environment = Environment(name, keys, self._start, self._folder(name))
        self._by_name[name] = environment
        self.by_secret[keys.secret.encode()] = environment
        self.by_publishable[keys.publishable.encode()] = environment
        return environment

    def _refuse_taken(self, name: str, *keys: str) -> None:
        if name.casefold() in {known.casefold() for known in self._by_name}:  # as some disks compare names of folders
            raise UsageError(f"there is an environment {name} already", hint="give another name")
        if len(set(keys)) < len(keys):
            raise UsageError("the two keys are the same", hint="give two keys")
        for key in keys:
            known = self.by_secret.get(key.encode()) or self.by_publishable.get(key.encode())
            if known is not None:
                raise UsageError(
                    f"a key of environment {name} is one of environment {known.name} already", hint="give another key"
                )

    def _free_name(self) -> str:
        number = 2
        while f"environment-{number}" in self._by_name:
            number += 1
        return f"environment-{number}"

    # --- what survives a restart ---------------------------------------------------------------------------------

    def _folder(self, name: str) -> Path | None:
        if self._data_dir is None or name == MAIN:
            return self._data_dir
        return self._data_dir / _FOLDERS / name

    def _keep(self) -> None:
        if self._data_dir is not None:
            known = [Known.of(environment) for environment in self if environment is not self.main]
            with written_whole(self._data_dir / _LIST) as file:
                file.write(msgspec.json.encode(known))

    def _kept(self) -> list[Known]:
        file = None if self._data_dir is None else self._data_dir / _LIST
        if file is None or not file.exists():
            return []
        try:
            return msgspec.json.decode(file.read_bytes(), type=list[Known])
        except (OSError, msgspec.DecodeError) as error:
            raise StateError(
                f"{file} cannot be read: {json_mistake(error)}",
                hint="give another --data directory, or remove this file",
            ) from error
