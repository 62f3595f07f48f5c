"""Companies whose changes a test makes itself: what `plan --diff` says of them is compared with what was made."""

import json
import random
from dataclasses import dataclass, field

PIPELINE = """
- name: companies
  record: company
  source: {type: csv, path: accounts.csv}
  fields:
    companyId: id
    attributes: {"*": {}, seats: {column: seats, type: integer}, mrr: {column: mrr, type: number}}
  remember: values
  on_removed: {attributes: {status: gone}, limit: 90%}
"""
PLANS = ("free", "team", "pro", "enterprise")


def company(dice):
    """Return the attributes of a company."""
    return {
        "name": f"Company {dice.randrange(10**6)}",
        "plan": dice.choice(PLANS),
        "seats": dice.randrange(500),
        "mrr": dice.randrange(10**6) / 100,
        "notes": dice.choice(["", "a, b", 'said "no"', "Zoë"]),
    }


def sent(attributes):
    """Return the attributes as they are sent: an empty column is none."""
    return {name: value for name, value in attributes.items() if value != ""}


@dataclass
class Companies:
    """The export of a workplace.

    Attributes:
        workplace: where it lies.
        seed: decides what changes.
        rows: the companies by their ids, in the order of the export.
    """

    workplace: object
    seed: int
    rows: dict = field(default_factory=dict)

    def __post_init__(self):
        self.dice = random.Random(self.seed)  # noqa: S311  # no secret depends on it

    def begin(self, count, **words):
        """Write the pipeline file, and an export of so many companies."""
        self.rows = {f"{number:06d}": company(self.dice) for number in range(count)}
        self.workplace.pipeline(PIPELINE, **words)
        self.write()

    def write(self):
        """Write the export."""
        quoted = (",".join(f'"{str(cell).replace(chr(34), chr(34) * 2)}"' if cell != "" else "" for cell in cells)
                  for cells in ((known, *row.values()) for known, row in self.rows.items()))  # fmt: skip
        self.workplace.write("accounts.csv", ("\n".join(["id,name,plan,seats,mrr,notes", *quoted]) + "\n").encode())

    def change(self, *, cells, of, new, gone):
        """Change so many cells of so many companies, add some, and take some out; return what that changes."""
        before = {known: sent(row) for known, row in self.rows.items()}
        chosen = self.dice.sample(sorted(self.rows), of + gone)
        for known in chosen[of:]:
            del self.rows[known]
        places = [(known, name) for known in chosen[:of] for name in ("name", "plan", "seats", "mrr", "notes")]
        firsts = [(known, self.dice.choice(list(self.rows[known]))) for known in chosen[:of]]
        others = self.dice.sample(sorted(set(places) - set(firsts)), cells - of)
        for known, name in (*firsts, *others):
            self.rows[known] = self.rows[known] | {name: self._another(known, name)}
        for _ in range(new):
            self.rows[f"new-{self.dice.randrange(10**9)}"] = company(self.dice)
        self.write()
        return difference(before, {known: sent(row) for known, row in self.rows.items()})

    def _another(self, known, name):
        """Return another value for a cell."""
        while (value := company(self.dice)[name]) == self.rows[known][name]:
            pass
        return value


def difference(before, after):
    """Return what the JSON has to say of a stream: what changes from some companies to others."""
    paths = {}
    records = [_record(known, "changed", before[known], row) for known, row in after.items()
               if known in before and before[known] != row]  # fmt: skip
    for record in records:
        for path in record["fields"]:
            paths[path.removeprefix("attributes.")] = paths.get(path.removeprefix("attributes."), 0) + 1
    created = [_record(known, "created", {}, row) for known, row in after.items() if known not in before]
    removed = [{"id": {"companyId": known}, "change": "removed", "fields": {"attributes.status": {"new": "gone"}}}
               for known in before if known not in after]  # fmt: skip
    return {
        "created": len(created),
        "changed": len(records),
        "removed": len(removed),
        "unchanged": len(after) - len(created) - len(records),
        "rejected": 0,
        "fields": paths,
        "records": [*records, *removed, *created],
    }


def _record(known, change, old, new):
    fields = {
        f"attributes.{name}": {word: row[name] for word, row in (("old", old), ("new", new)) if name in row}
        for name in {**new, **old}
        if old.get(name) != new.get(name)
    }
    return {"id": {"companyId": known}, "change": change, "fields": fields}


def diff_of(workplace, *words):
    """Return what `plan --diff` says of the companies, as JSON."""
    planned = workplace.command("plan", "--diff", "--format", "json", "--rows", "all", "--quiet", *words)
    assert (planned.exception, planned.exit_code) == (None, 0), planned.stderr
    found = json.loads(planned.stdout)
    assert planned.stderr == ""
    return found["streams"]["companies"]


def assert_same(found, expected):
    """Hold what was said against what is so; the order of what is gone is the plan's own."""
    was, is_so = (
        {record["id"]["companyId"]: _ordered(record) for record in one["records"]} for one in (found, expected)
    )
    assert {known: (record, is_so.get(known)) for known, record in was.items() if record != is_so.get(known)} == {}
    assert was.keys() == is_so.keys()
    assert [record for record in found["records"] if record["change"] != "removed"] == [
        record for record in expected["records"] if record["change"] != "removed"
    ]
    assert [one["change"] for one in found["records"]] == [one["change"] for one in expected["records"]]
    assert {**found, "records": []} == {**expected, "records": []}
    counts = list(found["fields"].values())
    assert counts == sorted(counts, reverse=True)


def _ordered(record):
    return {**record, "fields": dict(sorted(record["fields"].items()))}
