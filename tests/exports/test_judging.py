"""The judge of the exports: it finds what is wrong, and says nothing of what is right."""

import pytest
from export_files import HERE, Export, all_exports, texts_of
from judging import is_personal, mistakes, readings

ROWS = [
    {
        "row": "r1",
        "id": "007",
        "org": "A1",
        "teams": "T1;T2",
        "email": "ann@x.example",
        "name": "Annabel Lee",
        "plan": "team",
    },
    {
        "row": "r2",
        "id": "008",
        "org": "A2",
        "teams": "T3",
        "email": "bob@x.example",
        "name": "Bobby Tables",
        "plan": "team",
    },
]
RIGHT = {"record": "user", "userId": "id", "companyId": "org"}


class Users(Export):
    """An export of two users."""

    rows = tuple({name: [text] for name, text in row.items()} for row in ROWS)


def users(**known):
    """Return the export of two users, of which something else is known."""
    return Users("users.csv", {"right": [RIGHT], "personal": ["email", "name"]} | known)


def user(user_id, company_id=None, **attributes):
    """Return a user's record."""
    company = {"companyId": company_id} if company_id else {}
    return {"type": "user", "userId": user_id, **company, "attributes": attributes}


ANN, BOB = user("007", "A1", plan="team"), user("008", "A2")


@pytest.mark.parametrize(
    "records",
    [
        [ANN, BOB],
        [user("007"), user("008"), {"type": "company", "companyId": "A1", "userId": "007"}],
        [ANN, BOB | {"comment": "ask ann@x.example, or Annabel Lee"}],
        [ANN, user("008", "A2", note="Annabella Lees")],
    ],
    ids=["users", "a membership", "a comment", "a longer word"],
)
def test_what_is_right_is_right(records):
    """A member of a company may travel as a company's record, and a comment is its author's."""
    assert mistakes(users(), records) == []


@pytest.mark.parametrize(
    ("records", "found"),
    [
        ([ANN, BOB, user("r1", "A1")], "ids that are no row's: 'r1'"),
        ([user("7", "A1"), BOB], "ids that are no row's: '7'"),
        ([user("007", "A2"), BOB], "ids that are no row's: '007' and 'A2'"),
        ([ANN, BOB, {"type": "company", "companyId": "A1"}], "lacks an id"),
        ([ANN, BOB, {"type": "event", "userId": "007", "event": "x"}], "no event is made"),
        ([ANN], "'008' never arrives"),
        ([user("007"), user("008")], "no record names a company"),
        ([], "nothing arrives"),
    ],
)
def test_a_wrong_record_is_found(records, found):
    """A foreign id, one that lost its zeros, one of another row, one that is missing; a kind that it has none of."""
    assert [one for one in mistakes(users(), records) if found in one]


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("somebody@other.example", "an e-mail address"),
        ("somebody%40other.example", "an e-mail address"),
        ("ANNABEL LEE", "personal"),
        ({"by": ["written by Annabel Lee."]}, "personal"),
        ('{"name": "Annabel Lee"}', "personal"),
    ],
)
def test_what_is_personal_is_found(value, found):
    """Any e-mail address, and the name of any person, however deep and however spelt."""
    assert [one for one in mistakes(users(), [user("007", "A1", x=value), BOB]) if found in one]


def test_only_a_made_up_id_is_right_where_no_column_says_who():
    """A hash may be sent; no e-mail address, and no other column of the row."""
    nobody = users(right=[{"record": "feedback"}], nobody=True)

    assert mistakes(nobody, []) == []
    assert mistakes(nobody, [{"type": "feedback", "userId": "ab" * 32}]) == []
    assert mistakes(nobody, [{"type": "feedback", "userId": "r1"}]) == [
        "userId is 'r1', and no column says who that is"
    ]
    assert len(mistakes(nobody, [{"type": "feedback", "userId": "ann@x.example"}])) == 2


def test_rows_that_are_nobodys_have_no_id():
    """Of a visitor without a name, and where another column says so; of several ids in a cell each is one."""
    assert mistakes(users(not_ids="^00"), [ANN, BOB])
    assert mistakes(users(only_where={"plan": "free"}), [ANN, BOB])
    in_teams = users(right=[RIGHT | {"companyId": "teams"}], split=";")
    assert mistakes(in_teams, [user("007", "T2"), user("008", "T3")]) == []
    assert mistakes(in_teams, [user("007", "T1;T2"), user("008", "T3")])
    assert mistakes(users(no_record={"row": ["r2"]}), [ANN]) == []


def test_the_entries_and_the_files_are_of_each_other():
    """Each file has its entry, and each entry its file, columns of that name, and texts of persons where it says so."""
    exports = all_exports()

    assert {export.kept for export in exports} == set((HERE / "data").iterdir()) - {HERE / "data" / "README.md"}
    for export in exports:
        paths = {path for row in export.rows for path in row}
        named = {column for way in readings(export) for column in (*way.users, *way.companies)}
        assert named <= paths, export.file
        assert all(
            any(is_personal(export, row, path) for row in export.rows for path in row if path.startswith(column))
            for column in export.known["personal"]
        ), export.file


def test_the_texts_in_a_value_are_found_at_any_depth():
    """In lists, objects and JSON inside of texts; nothing is no text."""
    value = {"a": [{"b": 1.0}, {"b": None}], "c": '{"d": true}', "e": " ", "f": "{x"}

    assert list(texts_of(value)) == [("a.b", "1"), ("c.d", "true"), ("f", "{x")]
