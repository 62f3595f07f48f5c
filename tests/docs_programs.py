"""The programs that pages show, as files that tests run."""

import re

from tiers import ROOT

_PYTHON = re.compile(r"^```python\n(\"\"\"([\w.]+): .*?)^```", re.DOTALL | re.MULTILINE)


def program_of(page, folder):
    """Write the one program of a page into a folder, under the name that its first line gives it."""
    ((text, name),) = _PYTHON.findall((ROOT / "docs" / page).read_text("utf-8"))
    file = folder / name
    file.write_text(text, "utf-8")
    return file
