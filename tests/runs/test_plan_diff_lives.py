"""Random lives of a pipeline: `plan --diff` says what a model says that the test keeps, every value of it."""

import random
from collections import Counter
from dataclasses import dataclass, field

import pytest
from known_companies import diff_of

STREAM = """
- name: companies
  record: company
  source: {type: csv, path: accounts.csv}
  fields: {companyId: id, attributes: %s}
  remember: %s
  on_removed: {attributes: {status: gone}, limit: 100%%}
"""
COLUMNS = ("name", "plan", "seats", "notes")
MAPPINGS = {  # the attributes of each, and how it is written
    '{"*": {}}': COLUMNS,
    "{seats: seats, plan: plan}": ("plan", "seats"),
    '{"*": {exclude: [plan]}}': ("name", "seats", "notes"),
}
REMEMBER = ("values", "values", "hashes")
ENDS = ("plain", "plain", "full", "refused", "lost", "limited", "erased")
WORDS = {"full": ("--full",), "limited": ("--limit", "5")}
GONE = {"status": "gone"}


@dataclass
class Known:
    """What is remembered of a company: what was sent last, and the values that are kept; None where they are not."""

    content: dict | None
    values: dict | None


@dataclass
class Life:
    """A pipeline, and the model of what it remembers."""

    workplace: object
    emulator: object
    dice: random.Random
    rows: dict = field(default_factory=dict)
    known: dict = field(default_factory=dict)
    mapping: str = '{"*": {}}'
    remember: str = "values"
    born: int = 0

    # --- what happens ---

    def night(self):
        """Change the export, and now and then the pipeline file; look at the diff, and run."""
        self.move()
        how = self.dice.choice(ENDS)
        words = ("--retry-refused", *WORDS.get(how, ()))
        rows = dict(list(self.rows.items())[:5]) if how == "limited" else self.rows
        changes = self.changes(rows, looks_for_gone=how not in WORDS)
        self.hold(diff_of(self.workplace, *words), changes, rows)
        self.run(how, words, changes)

    def move(self):
        """Change some cells, add some companies, take some out."""
        for _ in range(self.dice.randrange(1, 5) if self.born else 12):  # so many that never all of them are gone
            self.born += 1
            self.rows[f"c{self.born:03d}"] = dict.fromkeys(COLUMNS, "")
        for known in self.dice.sample(sorted(self.rows), self.dice.randrange(min(3, len(self.rows)))):
            del self.rows[known]
        for known in self.dice.sample(sorted(self.rows), min(4, len(self.rows))):
            self.rows[known] = self.rows[known] | {self.dice.choice(COLUMNS): self.dice.choice(["", "1", "2", "x y"])}
        if self.dice.random() < 0.3:
            self.mapping = self.dice.choice(list(MAPPINGS))
            self.remember = self.dice.choice(REMEMBER)
        self.workplace.pipeline(STREAM % (self.mapping, self.remember))
        lines = [",".join((known, *row.values())) for known, row in self.rows.items()]
        self.workplace.write("accounts.csv", "\n".join([",".join(("id", *COLUMNS)), *lines]) + "\n")

    def run(self, how, words, changes):
        """Run, and note what is remembered after that."""
        poisoned = self.dice.choice(sorted(changes)) if how == "refused" and changes else None
        if poisoned:
            self.emulator.faults({"kind": "poison", "match": f'"{poisoned}"', "status": 400})
        elif how == "lost":
            self.emulator.faults({"kind": "status", "status": 500, "rate": 1.0})
        ran = self.workplace.run("--patience", "0s", *words)
        self.emulator.faults()
        assert ran.exit_code == (3 if poisoned else 75 if how == "lost" and changes else 0), ran.stderr
        if ran.exit_code == 75:
            assert self.workplace.command("abandon", ran.summary["run"]).exit_code == 0
        self.let_go()
        again = {known: ("unchanged", self.record(row)) for known, row in self.rows.items()} if how == "full" else {}
        for known, (what, record) in (again | changes).items():
            if known == poisoned:
                continue
            if ran.exit_code == 75:
                self.known[known] = Known(None, None)
            elif what == "removed":
                del self.known[known]
            else:
                self.known[known] = Known(record, record if self.remember == "values" else None)
        if how == "erased" and self.known:
            erased = self.dice.choice(sorted(self.known))
            assert self.workplace.command("forget", "--company", erased, "--yes").exit_code == 0
            del self.known[erased]

    # --- what has to be so ---

    def let_go(self):
        """Of the values that are not sent any more nothing is kept."""
        for one in self.known.values():
            if one.values is not None:
                kept = {name: value for name, value in one.values.items() if name in MAPPINGS[self.mapping]}
                one.values = kept if self.remember == "values" else None

    def record(self, row):
        """Return the attributes that are sent of a row."""
        return {name: row[name] for name in MAPPINGS[self.mapping] if row[name]}

    def changes(self, rows, *, looks_for_gone):
        """Return what becomes of each company that is sent, and its record."""
        found = {}
        for known, row in rows.items():
            record = self.record(row)
            if known not in self.known:
                found[known] = "created", record
            elif self.known[known].content != record:
                found[known] = "changed", record
        gone = sorted(self.known.keys() - rows.keys()) if looks_for_gone else []
        return found | dict.fromkeys(gone, ("removed", GONE))

    def hold(self, said, changes, rows):
        """Hold what the diff says against all that the model knows."""
        records = {known: self.fields(known, *change) for known, change in changes.items()}
        changed = [records[known] for known, (what, _) in changes.items() if what == "changed"]
        whats = Counter(what for what, _ in changes.values())
        fields = Counter(name for one in changed for name in one or ())
        found = {one["id"]["companyId"]: (one["change"], one["fields"]) for one in said["records"]}
        assert found == {
            known: (
                changes[known][0],
                None if one is None else {f"attributes.{name}": pair for name, pair in one.items()},
            )
            for known, one in records.items()
        }
        assert said["fields"] == fields
        assert said.get("unknown", 0) == changed.count(None)
        assert {what: said[what] for what in ("created", "changed", "removed", "unchanged")} == {
            "created": whats["created"],
            "changed": whats["changed"],
            "removed": whats["removed"],
            "unchanged": len(rows) - whats["created"] - whats["changed"],
        }

    def fields(self, known, what, record):
        """Return the fields that a record changes; None where nobody knows."""
        old = {} if what == "created" else self.known[known].values
        if old is None and what == "changed":
            return None
        names = record if what == "removed" else {**record, **(old or {})}
        pairs = {name: {word: one[name] for word, one in (("old", old or {}), ("new", record)) if name in one}
                 for name in names}  # fmt: skip
        return {name: pair for name, pair in pairs.items() if pair.get("old") != pair.get("new")}


@pytest.mark.parametrize(
    ("seed", "nights"), [(1, 4), *(pytest.param(seed, 16, marks=pytest.mark.long) for seed in range(2, 8))]
)
def test_a_diff_says_what_a_model_says(workplace, emulator, seed, nights):
    """Through refusals, lost answers, runs that read less, mappings that change, and values that are let go."""
    life = Life(workplace, emulator, random.Random(seed))  # noqa: S311  # no secret depends on it
    for _ in range(nights):
        life.night()
