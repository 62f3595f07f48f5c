"""An engine: what runs the three functions over their items. The simplest one is this process."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol, TypeVar

Item = TypeVar("Item")
Made = TypeVar("Made")


class Engine(Protocol):
    """What runs a function over items, wherever."""

    def run(self, function: Callable[[Iterable[Item]], Iterator[Made]], items: Iterable[Item]) -> Iterator[Made]:
        """Yield what is made of items, in any order; items go to as many calls of the function as there are."""
        ...


class OneProcess:
    """This process: one call for all items."""

    def run(self, function: Callable[[Iterable[Any]], Iterator[Made]], items: Iterable[Any]) -> Iterator[Made]:
        """Yield what the function makes of items, in their order."""
        return function(items)
