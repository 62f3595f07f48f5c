"""What a check doubts: something that would be sent as it stands, and may not be meant so."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Doubt:
    """A doubt about a stream. It holds counts and shapes of values, never a value.

    Attributes:
        name: a stable word that a program can rely on.
        stream: the name of the stream.
        column: the source's column, or the field where no column stands behind it; None for the whole stream.
        count: how many rows it speaks of.
        of: how many were looked at.
        text: what was seen, for a person.
        hint: what to ask, or what to know of the line.
        line: what to write into the pipeline file; "" where there is no such line.
        shapes: which shapes the values have, and how many rows each.
        weight: how much harm it may do; the greatest is told first.
    """

    name: str
    stream: str
    column: str | None
    count: int
    of: int
    text: str
    hint: str = ""
    line: str = ""
    shapes: tuple[str, ...] = ()
    weight: int = 1

    @property
    def sentence(self) -> str:
        """The whole of it in one line."""
        shapes = f" ({'; '.join(self.shapes)})" if self.shapes else ""
        advice = [self.hint] if self.hint else []
        advice += [f"write `{self.line}`"] if self.line else []
        return "; ".join([f"{self.stream}: {self.text}{shapes}", *advice])

    def lines(self) -> Iterator[str]:
        """Yield the lines of a paragraph: what was seen, shapes, and what to write, which YAML may break at a blank."""
        yield f"  ! {self.text}"
        yield from (f"      {shape}" for shape in self.shapes)
        hint = "; ".join(filter(None, (self.hint, "write" if self.line else "")))
        if hint:
            yield f"    hint: {hint}"
        if self.line:
            yield f"        {self.line}"

    def as_json(self) -> dict[str, Any]:
        """Return what `--json` prints of it."""
        return {
            "name": self.name,
            "stream": self.stream,
            "column": self.column,
            "count": self.count,
            "of": self.of,
            "text": self.text,
            "hint": self.hint,
            "line": self.line,
            "shapes": list(self.shapes),
        }
