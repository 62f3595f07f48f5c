"""HTML that is safe by how it is made: what is no `Html` is escaped, also in attributes.

For notebooks in pieces, without a style beside the notebook's own; and as a page that stands alone: one file, without
script, with one stylesheet, that asks nobody for anything.
"""

import base64
import hashlib
import re
from collections.abc import Iterable, Sequence
from functools import cache
from html import escape
from importlib.resources import files
from typing import Final

_UNSHOWN: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_EMPTY: Final = frozenset({"meta", "rect", "path", "line", "polyline"})  # elements that hold nothing


class Html(str):
    """Text that is HTML already; `element` and `joined` make it."""

    __slots__ = ()


def element(name: str, /, *contents: str | None, **attributes: object) -> Html:
    """Return an element; contents that are no `Html` are escaped, and those that are None are left out.

    Args:
        name: of the element.
        contents: what it holds.
        attributes: `class_` is spelt `class`, `aria_label` is `aria-label`; False and None leave one out, and True is
            one without a value.
    """
    words = "".join(
        f" {_name(word)}" if value is True else f' {_name(word)}="{_escaped(str(value))}"'
        for word, value in attributes.items()
        if value is not None and value is not False
    )
    return Html(f"<{name}{words}/>" if name in _EMPTY else f"<{name}{words}>{joined(contents)}</{name}>")


def joined(contents: Iterable[str | None]) -> Html:
    """Return contents one after another, escaped where they are no `Html`."""
    return Html("".join(one if isinstance(one, Html) else _escaped(one) for one in contents if one is not None))


def _name(word: str) -> str:
    return word.rstrip("_").replace("_", "-") if word.islower() else word  # SVG has names such as `viewBox`


def _escaped(text: str) -> str:
    """Return a text as HTML; signs that nobody sees, or that turn the words around them, are shown as what they are."""
    return escape(_UNSHOWN.sub("\N{REPLACEMENT CHARACTER}", text))


def paragraph(text: str, **attributes: object) -> Html:
    """Return a text as a paragraph."""
    return element("p", text, **attributes)


def table(header: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: Iterable[int] = ()) -> Html:
    """Return a table of texts.

    Args:
        header: what its columns are called.
        rows: a text for each column.
        numbers: the columns that hold numbers, which stand at their right end.
    """
    right = set(numbers)
    kinds = ["number" if place in right else None for place in range(len(header))]

    def cells(name: str, texts: Sequence[str]) -> Html:
        return joined(element(name, text, class_=kind) for text, kind in zip(texts, kinds, strict=True))

    head = element("thead", element("tr", cells("th", header)))
    body = element("tbody", *(element("tr", cells("td", row)) for row in rows))
    return element("table", head, body)


def wide(content: Html, name: str) -> Html:
    """Return what may be wider than the screen: it is moved sideways, with the keyboard too."""
    return element("div", content, class_="wide", role="region", aria_label=name, tabindex=0)


def facts(pairs: Iterable[tuple[str, str]]) -> Html:
    """Return names and what stands beside each."""
    return element("dl", *(element("div", element("dt", name), element("dd", said)) for name, said in pairs))


def listed(items: Iterable[str]) -> Html:
    """Return a list."""
    return element("ul", *(element("li", item) for item in items))


def command(text: str) -> Html:
    """Return a command to be pasted."""
    return element("pre", element("code", text), tabindex=0)


def in_code(text: str) -> Html:
    """Return a text whose parts between backticks are code."""
    parts = text.split("`")
    if len(parts) % 2 == 0:
        return joined([text])
    return joined(element("code", part) if place % 2 else part for place, part in enumerate(parts))


def section(title: str, *contents: Html | None) -> Html:
    """Return a part of a page, with its title."""
    return element("section", element("h2", title), *contents)


def folded(title: str, *contents: Html | None) -> Html:
    """Return what is shown when somebody asks for it."""
    return element("details", element("summary", title), *contents)


def bar(done: int, of: int, text: str) -> Html:
    """Return a bar of progress, and what it says."""
    return element("p", element("progress", value=done, max=of), f" {text}")


# --- a page that stands alone ----------------------------------------------------------------------------------------


def page(title: str, *contents: Html | None) -> Html:
    """Return a whole page. It may load nothing and run nothing, and its one stylesheet is named by its digest."""
    style = _stylesheet()
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    head = element(
        "head",
        element("meta", charset="utf-8"),
        Html(f'<meta http-equiv="Content-Security-Policy" content="{policy}">'),
        element("meta", name="referrer", content="no-referrer"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", title),
        element("style", Html(style)),
    )
    body = element("body", element("main", *contents))
    return Html(f"<!doctype html>\n{element('html', head, body, lang='en')}\n")


@cache
def _stylesheet() -> str:
    """Return the stylesheet, without what is for whoever reads its file."""
    text = files("bucket_loader.reporting").joinpath("page.css").read_text("utf-8")
    return re.sub(r"\s*\n\s*", "\n", re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)).strip()
