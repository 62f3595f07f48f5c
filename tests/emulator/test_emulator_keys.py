"""The keys of an emulator that is told its port."""

from bucket_loader.emulator.store import keys


def test_without_a_number_of_the_machine_the_keys_stay(tmp_path, monkeypatch):
    """Containers have none, and their network card is another with each start: the user's folder keeps a part."""
    monkeypatch.setattr(keys, "_MACHINE", tmp_path / "none")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "kept"))
    numbers = iter(range(9))
    monkeypatch.setattr(keys.uuid, "getnode", lambda: next(numbers))
    first, again, other = keys.Keys.of_port(8123), keys.Keys.of_port(8123), keys.Keys.of_port(8124)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "of another user"))

    assert (first == again, first != other) == (True, True)
    assert keys.Keys.of_port(8123) != first
