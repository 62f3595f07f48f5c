"""A module of a library that is loaded when somebody first uses it, not when it is imported."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType


class _Late(ModuleType):
    """Stands in for a module until one of its names is asked for."""

    def __getattr__(self, name: str) -> object:
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(import_module(self.__name__), name)


@contextmanager
def loaded_late(name: str) -> Iterator[None]:
    """Let what is imported within import a module `package.module`, and load it only when it is used.

    ADBC's drivers import `pyarrow.dataset` for what they write, and that one imports pandas: four fifths of a second
    and 70 MB, which a run that reads has no use for.
    """
    if name in sys.modules:
        yield
        return
    package, _, last = name.rpartition(".")
    sys.modules[name] = late = _Late(name)
    setattr(import_module(package), last, late)
    try:
        yield
    finally:
        # It stays the package's attribute. Among the modules it would be asked by libraries that look what is loaded.
        if sys.modules.get(name) is late:
            del sys.modules[name]
