"""The table of clients in docs/fidelity.md: what is seen is held against it, or written into it by `make fidelity`."""

import os
import re

from published_clients import MODES, Mode, version
from tiers import ROOT

COLUMNS = ("client", "mode", "calls", "a change, also after a reset", "after a restart")
_PAGE = ROOT / "docs" / "fidelity.md"
_BEGIN, _END = "<!-- clients -->\n", "<!-- /clients -->\n"
_UPDATE = os.environ.get("BUCKET_LOADER_UPDATE_FIDELITY") == "1"
Key = tuple[str, str]
Row = dict[str, str]


def hold(mode: Mode, **seen: str) -> None:
    """Hold what was seen of a client in a mode against the table: its calls, what a change does, and a restart."""
    names = {"calls": COLUMNS[2], "change": COLUMNS[3], "restart": COLUMNS[4]}
    rows = told()
    row = rows.get((mode.client, mode.name), dict.fromkeys(COLUMNS, "?"))
    row |= {"client": f"`{mode.client}` {version(mode.client)}", "mode": mode.name}
    row |= {names[name]: text for name, text in seen.items()}
    if _UPDATE:
        _write({**rows, (mode.client, mode.name): row})
    assert row == told().get((mode.client, mode.name)), (
        f"docs/fidelity.md does not say what was seen; `make fidelity` writes it:\n{_line(list(row.values()))}"
    )


def told() -> dict[Key, Row]:
    """Return the rows of the table by client and mode."""
    rows = [dict(zip(COLUMNS, line[2:-2].split(" | "), strict=True)) for line in _parts()[1].splitlines()[2:]]
    return {(re.sub(r"`(.+)` .+", r"\1", row["client"]), row["mode"]): row for row in rows}


def _write(rows: dict[Key, Row]) -> None:
    before, _, after = _parts()
    known = [rows[key] for mode in MODES if (key := (mode.client, mode.name)) in rows]
    table = [_line(list(COLUMNS)), "|---" * len(COLUMNS) + "|\n", *(_line(list(row.values())) for row in known)]
    _PAGE.write_text("".join([before, _BEGIN, *table, _END, after]), "utf-8")


def _parts() -> tuple[str, str, str]:
    before, _, rest = _PAGE.read_text("utf-8").partition(_BEGIN)
    table, _, after = rest.partition(_END)
    return before, table, after


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |\n"
