"""Which emulator it is: said in every answer, kept with `--data`, new with everything that begins anew."""

import json

import pytest
import requests

from bucket_loader.emulator import running

HEADER = "Bucket-Emulator"
SECRET, PUBLISHABLE = "sec_identity_0123456789", "pub_identity_0123456789"
USER = {"userId": "u1"}


@pytest.fixture(scope="module")
def url():
    """An emulator of these tests alone."""
    with running(secret_key=SECRET, publishable_key=PUBLISHABLE) as endpoint:
        yield endpoint.url


def answer(url, path, body=None, *, key=SECRET, method=None, **headers):
    """Return status, headers and body of an answer."""
    given = {"Content-Type": "application/json", **headers} | ({"Authorization": f"Bearer {key}"} if key else {})
    method = method or ("GET" if body is None else "POST")
    found = requests.request(method, url + path, json=body, headers=given, timeout=10)
    return found.status_code, found.headers, found.content


def identity(url, **options):
    """Return what an emulator says of itself."""
    return json.loads(answer(url, "/_emulator/identity", **options)[2])["id"]


@pytest.mark.parametrize(("path", "body", "key"), [
    ("/user", USER, SECRET), ("/user", {"userId": 0.5}, SECRET), ("/features", None, SECRET),
    ("/features", None, PUBLISHABLE), ("/nothing", None, SECRET), ("/_emulator/identity", None, PUBLISHABLE),
])  # fmt: skip
def test_every_answer_to_a_known_key_says_who_gives_it(url, path, body, key):
    """Also a refusal does; it is the same name each time."""
    assert answer(url, path, body, key=key)[1][HEADER] == identity(url)


@pytest.mark.parametrize("path", ["/user", "/_emulator/identity"])
def test_a_key_of_nobody_learns_nothing(url, path):
    """Whose store would it be? Without any key the control API tells the name of `main`."""
    status, headers, _ = answer(url, path, USER if path == "/user" else None, key="sec_nobody_0123456789")

    assert (status, headers.get(HEADER)) == (401, None)
    assert identity(url, key=None) == identity(url)


def test_what_is_meant_for_another_is_refused_whole(url):
    """412, and nothing of it is applied; what is meant for this one is taken."""
    status, headers, _ = answer(url, "/user", {"userId": "other"}, **{HEADER: "0123456789abcdef"})

    assert (status, headers[HEADER]) == (412, identity(url))
    assert answer(url, "/_emulator/users/other", key=None)[0] == 404
    assert answer(url, "/user", USER, **{HEADER: identity(url)})[0] == 200


def test_what_begins_anew_has_a_new_name(url):
    """A reset, and a snapshot that is restored: what was sent since is gone."""
    names = [identity(url)]
    _, _, saved = answer(url, "/_emulator/snapshot", key=None)
    answer(url, "/_emulator/reset", {}, key=None)
    names.append(identity(url))
    answer(url, "/_emulator/snapshot", json.loads(saved), key=None, method="PUT")
    names.append(identity(url))

    assert len(set(names)) == 3


def test_each_environment_has_a_name_of_its_own(url):
    """The key says which; each has a store of its own, too."""
    _, _, made = answer(url, "/_emulator/environments", {"name": "side"}, key=None)

    assert identity(url, key=json.loads(made)["secretKey"]) != identity(url)


def test_with_data_name_and_keys_survive_a_restart(tmp_path):
    """Both are kept in the folder, environments included; another folder has others."""
    with running(data_dir=tmp_path / "one") as first:
        key = json.loads(answer(first.url, "/_emulator/environments", {"name": "side"}, key=None)[2])["secretKey"]
        names = [identity(first.url, key=one) for one in (first.secret_key, key)]
    with running(data_dir=tmp_path / "one") as second:
        assert [identity(second.url, key=one) for one in (second.secret_key, key)] == names
    with running(data_dir=tmp_path / "other") as other:
        assert identity(other.url, key=other.secret_key) not in names

    assert (second.secret_key, second.publishable_key) == (first.secret_key, first.publishable_key)
    assert other.secret_key != first.secret_key


def test_with_a_port_the_keys_survive_a_restart_and_the_name_does_not():
    """What is in memory alone is gone with the process; on a free port the keys, too, are others."""
    with running() as free:
        port = int(free.url.rpartition(":")[2])
        name = identity(free.url, key=free.secret_key)
    with running(port=port) as first:
        names = [name, identity(first.url, key=first.secret_key)]
    with running(port=port, publishable_key=PUBLISHABLE) as second:
        names.append(identity(second.url, key=second.secret_key))

    assert len(set(names)) == 3
    assert free.secret_key != first.secret_key == second.secret_key
    assert second.publishable_key == PUBLISHABLE != first.publishable_key
