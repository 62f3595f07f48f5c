"""The text of a query: the `:name` parameters in it, and what is a text or a comment and therefore holds none."""

import re
from collections.abc import Callable
from typing import Final, Literal

SQL_PARAMETERS: Final = ("interval_start", "interval_end", "as_of", "cursor")
SqlDialect = Literal["standard", "backslash"]
# `:name` outside quotes and comments; not part of a `::cast`, and not after a value, where a colon takes a part of it
# (`a[1:n]`, `{'a':b}`, `raw:user.id`).
_PARAMETER_NAME: Final = r"|::|(?<![\w\]\)'\"`]):(?P<name>[A-Za-z_]\w*)"
_SQL_PARAMETER: Final[dict[SqlDialect, re.Pattern[str]]] = {
    "standard": re.compile(
        r"\b[eE]'(?:[^'\\]|\\.|'')*'"  # text with escapes
        r"|'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\""
        r"|\$(?P<tag>[A-Za-z_]\w*|)\$.*?\$(?P=tag)\$"  # text between dollars
        r"|--[^\n]*|/\*.*?\*/" + _PARAMETER_NAME,
        re.DOTALL,
    ),
    # MySQL and BigQuery: a backslash escapes in every text, names stand between backticks, `#` begins a comment.
    "backslash": re.compile(
        r"\"\"\"(?:[^\\]|\\.)*?\"\"\"|'''(?:[^\\]|\\.)*?'''"
        r"|'(?:[^'\\]|\\.|'')*'|\"(?:[^\"\\]|\\.|\"\")*\"|`(?:[^`]|``)*`"
        r"|--[^\n]*|#[^\n]*|/\*.*?\*/" + _PARAMETER_NAME,
        re.DOTALL,
    ),
}
_BACKSLASH_SCHEMES: Final = frozenset({"mysql", "mariadb", "bigquery"})


def sql_dialect(url: str) -> SqlDialect:
    """Return how a database's SQL spells texts and comments, from its URL."""
    return "backslash" if re.split(r"[:+]", url, maxsplit=1)[0].lower() in _BACKSLASH_SCHEMES else "standard"


def sql_parameters(text: str, dialect: SqlDialect = "standard") -> list[str]:
    """List the `:name` parameters of a query, in order, with repeats."""
    return [match["name"] for match in _SQL_PARAMETER[dialect].finditer(text) if match["name"]]


def with_parameters(text: str, spelt: Callable[[str], str], dialect: SqlDialect = "standard") -> str:
    """Put what `spelt` returns for each `:name` in its place."""
    return _SQL_PARAMETER[dialect].sub(lambda match: spelt(match["name"]) if match["name"] else match[0], text)


def with_parameter_style(text: str, style: str) -> str:
    """Spell each `:name` as `style` says, for example `${}` for DuckDB."""
    return with_parameters(text, style.format)


def sql_code(text: str, dialect: SqlDialect = "standard") -> str:
    """Blank out the texts, quoted names and comments of a query: its words and signs stay where they are."""

    def blank(match: re.Match[str]) -> str:
        return match[0] if match["name"] or match[0] == "::" else " " * len(match[0])

    return _SQL_PARAMETER[dialect].sub(blank, text)


def known_parameters(text: str, dialect: SqlDialect = "standard") -> str:
    """Return a query whose parameters are all bound; refuse another."""
    unknown = sorted(set(sql_parameters(text, dialect)) - set(SQL_PARAMETERS))
    if unknown:
        names = ", ".join(f":{name}" for name in SQL_PARAMETERS)
        raise ValueError(f":{unknown[0]} is not bound in a query; what is bound: {names}")
    return text
