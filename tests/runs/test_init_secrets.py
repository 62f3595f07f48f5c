"""`init` writes and shows no secret of a URL, and takes no name of a source for a variable."""

from functools import partial
from http.server import SimpleHTTPRequestHandler

import pytest
from workplace import served_by

SECRET = "ssW0rd"  # noqa: S105  # of nobody


@pytest.mark.parametrize(
    "source",
    [
        f"postgresql://u:pa#{SECRET}@127.0.0.1:1/db",
        f"postgresql://u:pa/{SECRET}@127.0.0.1:1/db#t",
        f"postgresql://u:{SECRET}@127.0.0.1:1/db?sslmode=disable",
        f"postgresql://127.0.0.1:1/db?password={SECRET}#t",
        f"http://127.0.0.1:1/users.csv?sig={SECRET}&token=abc",
        f"http://bob:{SECRET}@127.0.0.1:1/users.csv",
        f"host=127.0.0.1 dbname=db password={SECRET}",
    ],
)
def test_a_secret_of_a_url_is_seen_nowhere(workplace, monkeypatch, source):
    """Not on the screen, not in the file, not as a name; what went wrong is one message."""
    monkeypatch.chdir(workplace.folder)

    found = workplace.command_of("init", source, "--yes")

    assert found.exit_code in {2, 75}, found.stderr
    assert SECRET not in found.stdout + found.stderr
    assert "error:" in found.stderr


@pytest.mark.parametrize("name", ["${AWS_X}", "plan $${AWS_X}", "${", "$${"])
def test_a_column_that_looks_like_a_variable_is_a_column(workplace, monkeypatch, name):
    """Its name is written so that it is read as it stands; the variable's value is nowhere."""
    monkeypatch.chdir(workplace.folder)
    monkeypatch.setenv("AWS_X", "topsecretvalue")
    workplace.write("accounts.csv", f"account_id,{name}\na1,x\na2,y\n")

    made = workplace.command_of("init", "accounts.csv", "--yes", "-o", "accounts.yaml")
    done = workplace.command_of("rehearse", "accounts.yaml", "--json")

    written = (workplace.folder / "accounts.yaml").read_text()
    assert (made.exit_code, done.exit_code) == (0, 0), made.stderr + done.stderr
    assert "topsecretvalue" not in made.stderr + written


def test_a_signed_address_is_a_variable_in_the_file(workplace, monkeypatch):
    """The trial reads the address; the file says which variable has to hold it."""
    monkeypatch.chdir(workplace.folder)
    workplace.write("accounts.csv", "account_id,plan\na1,x\na2,y\n")
    with served_by(partial(SimpleHTTPRequestHandler, directory=workplace.folder)) as url:
        made = workplace.command_of("init", f"{url}/accounts.csv?sig={SECRET}", "--yes", "-o", "accounts.yaml")

    written = (workplace.folder / "accounts.yaml").read_text()
    assert made.exit_code == 0, made.stderr
    assert (SECRET in written, "${EXPORT_URL}" in written, "export EXPORT_URL" in written) == (False, True, True)
