"""`init` asks a person what is in doubt: six questions at most, with real values, of which none is in the file."""

import os
import re
import time
from dataclasses import dataclass, field

import pytest
from click.testing import CliRunner
from terminal import session

from bucket_loader.cli.commands import main
from bucket_loader.runs.init.first import first_pipeline

pytestmark = pytest.mark.breadth

USERS = "user_id,legacy_id,email,plan\n" + "".join(f"u{n},{n + 1000},u{n}@x.org,plan{n % 3}\n" for n in range(9))
SCORES = "user_id,nps,comment,asked,answered\n" + "".join(
    f"u{n},{n},fine{n},2024-01-0{n + 1}T00:00:00Z,0{n + 1}/02/2024\n" for n in range(9)
)


@dataclass
class Person:
    """Answers some questions, and takes the guess of the others."""

    answers: dict[str, str] = field(default_factory=dict)
    asked: list = field(default_factory=list)

    def __call__(self, question):
        """Answer a question."""
        self.asked.append(question)
        found = next((answer for text, answer in self.answers.items() if text in question.text), question.guess)
        assert found in {question.guess, *(name for name, _ in question.answers)}
        return found


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Stand in a folder with two exports."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "users.csv").write_text(USERS)
    (tmp_path / "nps.csv").write_text(SCORES)
    return tmp_path


@pytest.mark.parametrize("source", ["users.csv", "nps.csv", "."])
def test_who_takes_each_guess_gets_the_file_that_is_made_without_asking(here, source):
    """At most six questions, each with a guess among its answers and at most five values; none of these in the file."""
    person = Person()
    asked, silent = first_pipeline(source, ask=person), first_pipeline(source)

    assert asked.text == silent.text
    assert 0 < len(person.asked) <= 6
    for question in person.asked:
        assert question.guess in [name for name, _ in question.answers]
        assert all(shown.count(",") <= 4 for _, shown in question.answers)
    assert "u3" in str(person.asked)
    assert not re.search(r"\bu\d\b|x\.org|fine\d", asked.text)


def test_answers_are_in_the_file(here):
    """Another id, another scale, another time, what is about persons; the guesses around them are made anew."""
    users = first_pipeline("users.csv", ask=Person({"userId": "legacy_id", "about persons": "no"})).text
    score = first_pipeline("nps.csv", ask=Person({"scale": "1-10", "happen": "answered"})).text

    assert "userId: legacy_id  # guess: a person said so" in users
    assert "\n        email: email" in users
    assert "\n        user_id: user_id" in users
    assert "scale: [1, 10]" in score
    assert "timestamp: {column: answered, " in score


def test_another_kind_is_guessed_anew(here):
    """The next question is about its own id."""
    person = Person({"What is a row": "company", "companyId": "legacy_id"})
    text = first_pipeline("users.csv", ask=person).text

    assert "record: company" in text
    assert "companyId: legacy_id" in text


def test_an_id_that_no_column_is_called_like_can_be_said(here):
    """Without an answer it stays missing."""
    (here / "people.csv").write_text("a1,plan\n" + "".join(f"k{n},plan{n % 2}\n" for n in range(9)))
    said = first_pipeline("people.csv", record="user", ask=Person({"userId": "a1"}))
    unsaid = first_pipeline("people.csv", record="user", ask=Person())

    assert said.problem is None
    assert "userId: a1" in said.text
    assert unsaid.problem is not None


@pytest.mark.parametrize("columns", [40, 80, 120])
def test_on_a_terminal_init_asks_checks_and_offers_a_rehearsal(here, columns):
    """Enter takes the guess; what is no answer is asked again; the file is that of `--yes`, and it is rehearsed."""
    with session(here, "init", "users.csv", "-o", "asked.yaml", columns=columns) as terminal:
        for text, answer in ((r"\[user\]:$", "nonsense"), (r"not one of[\s\S]*\[user\]:$", ""), (r"\[user_id\]:$", ""),
                             (r"\[yes\]:$", "YES"), (r"now\? \[Y/n\]:$", "y")):  # fmt: skip
            terminal.until(text)
            os.write(terminal.end, f"{answer}\n".encode())
        assert terminal.ended() == 0, terminal.written
    made = CliRunner().invoke(main, ["init", "users.csv", "-o", "silent.yaml"])

    assert made.exit_code == 0
    assert (here / "asked.yaml").read_text() == (here / "silent.yaml").read_text()
    assert "u0, u1, u2" in terminal.written
    assert "nothing is in doubt" in terminal.written
    assert "9 users" in " ".join(terminal.lines)


def test_with_yes_nothing_is_asked_on_a_terminal(here):
    """It ends by itself."""
    with session(here, "init", "users.csv", "--yes", "-o", "users.yaml") as terminal:
        began = time.monotonic()
        assert terminal.ended() == 0
    assert "Enter takes" not in terminal.written
    assert (here / "users.yaml").exists(), began


@pytest.mark.parametrize("sign", [b"\x03", b"\x04"])  # Ctrl-C, Ctrl-D
def test_nothing_is_written_when_a_person_gives_up(here, sign):
    """At a question; it is an interruption, and no bug."""
    with session(here, "init", "users.csv", "-o", "users.yaml") as terminal:
        terminal.until(r"\[user\]:$")
        os.write(terminal.end, sign)
        assert terminal.ended() == 130

    assert not (here / "users.yaml").exists()
