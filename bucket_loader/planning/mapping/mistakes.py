"""What is wrong with a mapping: all of it is said at once."""

from dataclasses import dataclass, field

from bucket_loader.model import UsageError


@dataclass
class Mistakes:
    """The mistakes in one stream, and what helps against them."""

    stream: str
    messages: list[str] = field(default_factory=list)
    hints: list[str] = field(default_factory=list)

    def add(self, message: str, hint: str | None = None) -> None:
        """Keep a mistake for later."""
        self.messages.append(message)
        if hint:
            self.hints.append(hint)

    def note(self, error: UsageError) -> None:
        """Keep an error for later."""
        self.add(error.message, error.hint)

    def raise_any(self) -> None:
        """Raise all that was kept.

        Raises:
            UsageError: there are mistakes.
        """
        if self.messages:
            lines = "\n  ".join(self.messages)
            raise UsageError(f"stream {self.stream!r}:\n  {lines}", hint="; ".join(dict.fromkeys(self.hints)))
