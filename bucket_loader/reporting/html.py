"""HTML for a notebook: it stands alone, without script and without style beside the notebook's own."""

from collections.abc import Sequence
from html import escape


def paragraph(text: str) -> str:
    """Return a text as a paragraph."""
    return f"<p>{escape(text)}</p>"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table of texts."""
    head = "".join(f"<th>{escape(name)}</th>" for name in header)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def bar(done: int, of: int, text: str) -> str:
    """Return a bar of progress, and what it says."""
    return f'<p><progress value="{done}" max="{of}"></progress> {escape(text)}</p>'
