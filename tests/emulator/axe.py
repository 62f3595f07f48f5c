"""What axe finds on a page: violations of WCAG AA."""

import json

from tiers import CLIENTS

AXE = CLIENTS / "node_modules" / "axe-core" / "axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
SIZES = {"phone": (390, 844), "screen": (1440, 900)}


def violations(page, rules=RULES):
    """Let axe look at what is shown; return what it objects to, and where."""
    if not page.run("typeof axe === 'object'"):
        page.run(AXE.read_text("utf-8"))
    options = json.dumps({"runOnly": {"type": "tag", "values": rules}})
    found = page.run(f"axe.run(document, {options}).then((found) => JSON.stringify(found.violations))")
    return [
        (one["id"], [node["target"] + [node["failureSummary"]] for node in one["nodes"]]) for one in json.loads(found)
    ]


def everywhere(page):
    """Let axe look by day and by night, in both sizes; return what it objects to, by where."""
    found = {}
    for size, (width, height) in SIZES.items():
        for dark in (False, True):
            page.resize(width, height, dark=dark)
            page.run("new Promise(requestAnimationFrame).then(() => 1)")
            found[size, dark] = violations(page)
    return {where: objections for where, objections in found.items() if objections}
