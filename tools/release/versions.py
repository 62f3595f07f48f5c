"""The version: it stands in one place, and the changelog begins with it."""

import re

from steps import ROOT, Failed

HEADING = re.compile(r"^## (\d+\.\d+\.\d+) \((\d{4}-\d\d-\d\d)\)$", re.MULTILINE)


def version(release):
    """Read the version from the package, and its day from the changelog."""
    text = (ROOT / "bucket_loader" / "__init__.py").read_text("utf-8")
    release.version = re.search(r'^__version__ = "(.*)"$', text, re.MULTILINE)[1]
    found = HEADING.search((ROOT / "CHANGELOG.md").read_text("utf-8"))
    if found is None or found[1] != release.version:
        raise Failed(f"the package is {release.version}; the changelog's newest version is {found and found[1]}")
    return f"{release.version} of {found[2]}, in bucket_loader/__init__.py and at the top of CHANGELOG.md"
