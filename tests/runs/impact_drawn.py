"""A world by chance: companies in two streams, their users, features over every operator, and changes by a seed."""

import csv
import io
import json
import urllib.request
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from random import Random
from urllib.parse import urlencode

STREAMS = """
- name: people
  record: user
  source: {type: csv, path: people.csv}
  fields: {userId: id, attributes: {role: role, age: {column: age, type: integer}}}
  remember: values
- name: accounts
  record: company
  source: {type: csv, path: accounts.csv}
  fields:
    companyId: id
    attributes:
      plan: plan
      seats: {column: seats, type: integer}
      trial: {column: trial, type: boolean}
      tags: {column: tags, type: json}
      started: {column: started, type: date}
      name: name
  remember: values
  on_removed: {attributes: {gone: true}}
- name: members
  record: company
  source: {type: csv, path: members.csv}
  fields: {companyId: company, userId: user, attributes: {plan: plan, region: region}}
  remember: values
"""
NEVER = {"company.owner", "user.locale", "company.owner.name"}
COLUMNS = {
    "plan": ["free", "pro", "Enterprise", "pro trial", ""],
    "seats": ["1", "5", "10", "100", ""],
    "trial": ["true", "false", ""],
    "tags": ['["a","b"]', '["b"]', "[]", '"a"', ""],
    "started": ["2020-01-01", "2024-06-30", "2199-01-01", ""],
    "name": ["Acme", "acme 2", "Ärger", ""],
}
ROLES, AGES, REGIONS = ["admin", "member", ""], ["17", "18", "40", ""], ["eu", "us", ""]
VALUES = {
    "company.plan": ["free", "pro", "PRO"], "company.seats": ["5", "10", "x"], "company.trial": ["true"],
    "company.tags": ["a", "b"], "company.tags.0": ["a", "b"], "company.started": ["2024-06-30", "2020"],
    "company.name": ["acme", "ärger", "A"], "company.region": ["eu", "us"], "company.gone": ["true"],
    "company.id": ["c1", "c2"], "user.role": ["admin", "member"], "user.age": ["18"], "user.id": ["u1"],
    "company.owner": ["x"], "user.locale": ["de"],
}  # fmt: skip
OPERATORS = (
    "IS", "IS_NOT", "CONTAINS", "NOT_CONTAINS", "ANY_OF", "NOT_ANY_OF", "SET", "NOT_SET", "GT", "LT", "IS_TRUE",
    "IS_FALSE", "AFTER", "BEFORE", "DATE_AFTER", "DATE_BEFORE",
)  # fmt: skip
DAYS = ("30", "3000", "-100")


class World:
    """Exports that change, and features that ask for what they hold."""

    def __init__(self, seed, companies):
        self.chance = Random(seed)  # noqa: S311  # repeatable, not secret
        self.accounts = {f"c{number}": self._account() for number in range(companies)}
        self.people = {f"u{number}": self._person() for number in range(companies // 4)}
        self.members = {}
        for user in self.people:
            for _ in range(self.chance.choice((0, 1, 1, 2))):
                company = f"c{self.chance.randrange(companies // 2)}"
                self.members[company] = (user, self.chance.choice(COLUMNS["plan"]), self.chance.choice(REGIONS))
        self.features = [self._feature(number) for number in range(50)]

    def change(self, count):
        """Change cells by chance; some companies are new, and some are gone."""
        for _ in range(count):
            self._change(self.chance.random())
        for number in range(max(1, count // 50)):
            self.accounts[f"new{number}"] = self._account()
            del self.accounts[self.chance.choice([one for one in self.accounts if one.startswith("c")])]

    def _change(self, what):
        if what < 0.1:
            self.people[self.chance.choice(list(self.people))] = self._person()
        elif what < 0.2:
            company = self.chance.choice(list(self.members))
            user, _, region = self.members[company]
            self.members[company] = (user, self.chance.choice(COLUMNS["plan"]), region)
        else:
            column = self.chance.choice(list(COLUMNS))
            self.accounts[self.chance.choice(list(self.accounts))][column] = self.chance.choice(COLUMNS[column])

    def write(self, workplace):
        """Write the exports."""
        accounts = [[id_, *row.values()] for id_, row in self.accounts.items()]
        workplace.write("accounts.csv", _csv(["id", *COLUMNS], accounts))
        workplace.write("people.csv", _csv(["id", "role", "age"], [[id_, *row] for id_, row in self.people.items()]))
        rows = [[company, *row] for company, row in self.members.items()]
        workplace.write("members.csv", _csv(["company", "user", "plan", "region"], rows))

    def _account(self):
        return {name: self.chance.choice(values) for name, values in COLUMNS.items()}

    def _person(self):
        return self.chance.choice(ROLES), self.chance.choice(AGES)

    def _feature(self, number):
        targeting = {"version": 1, "rules": [self._rule() for _ in range(self.chance.choice((1, 1, 2)))]}
        found = {"key": f"feature-{number}", "targeting": targeting}
        if number % 4 == 0:
            variants = [{"key": f"v{place}", "payload": None, **self._rule()} for place in range(2)]
            found["config"] = {"version": 1, "variants": variants}
        return found

    def _rule(self):
        return {"filter": self._filter(self.chance.choice((0, 0, 1, 2)))}

    def _filter(self, depth):
        kind = self.chance.random()
        if depth and kind < 0.3:
            return {"type": "negation", "filter": self._filter(depth - 1)}
        if depth:
            inner = [self._filter(depth - 1) for _ in range(self.chance.randint(1, 3))]
            return {"type": "group", "operator": self.chance.choice(("and", "or")), "filters": inner}
        field = self.chance.choice([one for one in VALUES if one not in NEVER or self.chance.random() < 0.3])
        if kind < 0.15:
            return {"type": "rolloutPercentage", "key": "k", "partialRolloutAttribute": field,
                    "partialRolloutThreshold": self.chance.choice((25_000, 50_000, 100_000))}  # fmt: skip
        operator = self.chance.choice(OPERATORS)
        values = [self.chance.choice(DAYS if operator in {"AFTER", "BEFORE"} else VALUES[field])]
        return {"type": "context", "field": field, "operator": operator, "values": values}


def _csv(header, rows):
    text = io.StringIO()
    csv.writer(text).writerows([header, *rows])
    return text.getvalue().encode()


def fields(feature):
    """Return the fields that a feature asks for."""
    nodes = [rule["filter"] for rule in feature["targeting"]["rules"]]
    nodes += [variant["filter"] for variant in feature.get("config", {"variants": []})["variants"]]
    found = set()
    while nodes:
        node = nodes.pop()
        found |= {node[name] for name in ("field", "partialRolloutAttribute") if name in node}
        nodes += [*node.get("filters", ()), *([node["filter"]] if "filter" in node else [])]
    return found


def contexts_of(features, companies, users, pairs):
    """Return by feature the contexts that the docs promise: companies alone, or users with each of theirs."""
    alone = [(company, None) for company in sorted(companies)]
    with_users = [pair for pair in sorted(pairs) if pair[0] in companies or pair[1] in users]
    with_users += [(company, None) for company in sorted(companies) if company not in {one for one, _ in pairs}]
    with_users += [(None, user) for user in sorted(users) if user not in {one for _, one in pairs}]
    of_users = {one["key"] for one in features if any(name.startswith("user.") for name in fields(one))}
    return {one["key"]: with_users if one["key"] in of_users else alone for one in features}


def evaluated(url, key, contexts):
    """Return what the API says each feature is in each context: whether it is on, and its variant."""

    def ask(context):
        query = {f"context.{name}.id": id_ for name, id_ in zip(("company", "user"), context, strict=True) if id_}
        request = urllib.request.Request(f"{url}/features/evaluated?{urlencode(query)}")  # noqa: S310
        request.add_header("Authorization", f"Bearer {key}")
        with urllib.request.urlopen(request) as answer:  # noqa: S310
            features = json.load(answer)["features"]
        return {name: (one["isEnabled"], one.get("config", {}).get("key")) for name, one in features.items()}

    with ThreadPoolExecutor(4) as pool:
        return dict(zip(contexts, pool.map(ask, contexts), strict=True))


def flips_between(before, after, by_feature):
    """Return what changes: by feature and context whether it is on then, or which variant."""
    found = {}
    for feature, contexts in by_feature.items():
        for context in contexts:
            (was_on, was), (is_on, is_) = before[context][feature], after[context][feature]
            if was_on != is_on:
                found[feature, *context] = is_on
            elif is_on and was != is_:
                found[feature, *context] = is_
    return found


def flips_in(impact):
    """Return the same of what `impact --json` prints."""
    return {
        (one["feature"], one["companyId"], one["userId"]): one["variant"]["new"] if "variant" in one else one["after"]
        for one in impact["flips"]
    }


def unknown_in(impact):
    """Return by feature where nobody can say."""
    found = defaultdict(set)
    for one in impact["unknown"]:
        found[one["feature"]].add((one["companyId"], one.get("userId")))
    return found
