"""`explain` over lives by chance: what it tells is what the emulator took, and what the dead letters say."""

import json
import random
from collections import Counter, defaultdict
from pathlib import Path

import pytest
from explain_helpers import explained, rows

STREAMS = """
- name: people
  record: user
  source: {type: csv, path: people.csv}
  fields: {userId: id, attributes: {n: {column: n, type: integer}, mark: mark}}
- name: members
  record: company
  source: {type: csv, path: members.csv}
  fields: {companyId: company, userId: id, attributes: {n: {column: n, type: integer}, mark: mark}}
- name: usage
  record: event
  key: [number]
  source: {type: csv, path: usage.csv}
  fields: {userId: id, companyId: company, event: {value: did}, attributes: {n: {column: n, type: integer}, mark: mark},
           timestamp: {value: "2026-01-01T00:00:00Z"}}
"""
PEOPLE, FIRMS = [f"u{number}" for number in range(6)], [f"c{number}" for number in range(3)]
FAULTS = (
    [],
    [],
    [{"kind": "poison", "match": "bad", "status": 400}],
    [{"kind": "cut_after", "rate": 0.3, "on": "POST /bulk"}],
    [{"kind": "cut_before", "rate": 0.3, "on": "POST /bulk"}],
    [{"kind": "status", "status": 503, "rate": 0.3, "on": "POST /bulk"}],
    [{"kind": "status", "status": 429, "retry_after": 60, "rate": 0.5, "on": "POST /bulk"}],  # it gives up
)


class World:
    """A workplace that lives by chance, and what it knows of its own life."""

    def __init__(self, workplace, emulator, seed):
        self.workplace, self.emulator, self.chance = workplace, emulator, random.Random(seed)  # noqa: S311
        self.letters = {}  # by id
        self.replayed = set()
        self.numbers = 0
        file = workplace.pipeline(STREAMS)
        text = file.read_text()
        file.write_text(text.replace("patience: 1s\n", "patience: 100ms\n  chunk: {records: 3}\n"))

    def _value(self):
        """Return a number, now and then one that is none, and a mark, now and then one that is refused."""
        number = self.chance.choice([*range(4), "x"])
        return f"{number},{self.chance.choice(['good', 'good', 'bad'])}"

    def write(self):
        """Write other rows than before."""
        chosen = self.chance.choices(PEOPLE, k=6)
        self.workplace.write("people.csv", "id,n,mark\n" + "".join(f"{one},{self._value()}\n" for one in chosen))
        pairs = [(self.chance.choice(FIRMS), self.chance.choice([*PEOPLE, ""])) for _ in range(6)]
        lines = "".join(f"{firm},{one},{self._value()}\n" for firm, one in pairs)
        self.workplace.write("members.csv", "company,id,n,mark\n" + lines)
        lines = ""
        for one in self.chance.choices(PEOPLE, k=6):
            self.numbers += 1
            lines += f"{self.numbers},{one},{self.chance.choice(FIRMS)},{self._value()}\n"
        self.workplace.write("usage.csv", "number,id,company,n,mark\n" + lines)

    def live(self):
        """Make one step: a run, with some fault; and now and then a replay."""
        self.write()
        self.emulator.faults(*self.chance.choice(FAULTS), seed=self.chance.randrange(1000))
        result = self.workplace.run("--retry-refused" if self.chance.random() < 0.3 else "--no-retry-refused")
        assert result.exit_code in {0, 3, 75}, result.stderr
        self.emulator.faults()
        self._note()
        files = sorted(self._state().glob("dead_letters/*.jsonl"))
        if files and self.chance.random() < 0.4:
            self.workplace.command_of("replay", str(self.chance.choice(files)), "--json")
            self._note()

    def _state(self):
        (root,) = Path(self.workplace.folder, ".bucket_loader").glob("test@*")
        return root

    def _note(self):
        """Keep what the dead letters say."""
        for file in self._state().glob("dead_letters/*.jsonl"):
            for line in file.read_text("utf-8").splitlines():
                letter = json.loads(line)
                self.letters[letter["id"]] = letter

    def prune(self):
        """Let go of all that is settled; it is known no more."""
        self.workplace.command("prune", "--older-than", "0s")
        there = {path.stem for path in self._state().glob("dead_letters/*.jsonl")}
        self.letters = {id_: one for id_, one in self.letters.items() if one["run"] in there}

    # --- what is known, and what is told -------------------------------------------------------------------------

    def taken(self, field, id_):
        """Return how often the emulator took each item that names somebody."""
        items = (line["item"] for line in self.emulator.journal())
        return Counter(json.dumps(item, sort_keys=True) for item in items if item.get(field) == id_)

    def rejected(self, field, id_):
        """Return the names of the dead letters about somebody."""
        column = {"userId": "id", "companyId": "company"}[field]
        return {
            name for name, one in self.letters.items()
            if (one["record"] or {}).get(field) == id_ or (one["record"] is None and one["row"].get(column) == id_)
        }  # fmt: skip


def check(world, field, id_):
    """Hold what is told of somebody against what is known."""
    life = explained(world.workplace, "--user" if field == "userId" else "--company", id_)
    told, doubtful = Counter(), defaultdict(bool)
    for row in rows(life):
        text = json.dumps(row["record"], sort_keys=True)
        is_open = row["fate"] in {"unknown", "held", "stuck", "pending"}
        told[text] += row["fate"] == "delivered"
        doubtful[text] |= is_open or "more than once" in row["fate_text"]
    taken = world.taken(field, id_)

    for text in {*told, *taken}:
        assert told[text] <= taken[text], f"told as delivered, and never taken: {text}"
        assert told[text] == taken[text] or doubtful[text] or life["gone"], f"taken, and not told: {text}"
    named = {letter["id"] for row in rows(life) for letter in row["letters"]}
    assert named == world.rejected(field, id_)


def lives(workplace, emulator, seed, steps):
    """Let a world live, ask of everybody in it, let it prune, and ask again."""
    world = World(workplace, emulator, seed)
    for _ in range(steps):
        world.live()
    everybody = [("userId", PEOPLE), ("companyId", FIRMS)]
    for field, ids in everybody:
        for id_ in ids:
            check(world, field, id_)
    world.prune()
    world.live()
    for field, ids in everybody:
        check(world, field, world.chance.choice(ids))


def test_a_life_by_chance_is_told_as_it_was(workplace, emulator):
    """Refused, cut, repeated, unfinished, replayed and pruned: each record is told as it ended."""
    lives(workplace, emulator, 1, steps=2)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(2, 6))
def test_many_lives_by_chance_are_told_as_they_were(workplace, emulator, seed):
    """The same over longer lives."""
    lives(workplace, emulator, seed, steps=7)
