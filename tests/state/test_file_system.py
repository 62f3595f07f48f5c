"""File systems that machines share: a ledger is refused there, where they are recognised."""

import pytest

from bucket_loader.state import file_system

MOUNTS = """\
22 1 254:0 / / rw,relatime - ext4 /dev/vda rw
23 22 0:40 / /mnt/home rw shared:1 - nfs4 filer:/home rw,vers=4.2
24 22 0:41 / /mnt/two\\040words rw - cifs //filer/share rw
25 22 0:42 / /mnt/ssh rw - fuse.sshfs me@there:/ rw
26 22 0:43 / /mnt/s3 rw - fuse mountpoint-s3 rw
27 22 0:44 / /mnt/wsl rw - 9p C:\\134 rw
28 22 0:45 / /mnt/union rw - fuse.unionfs unionfs rw
29 22 0:46 / /mnt/rootless rw - fuse.fuse-overlayfs fuse-overlayfs rw
30 22 0:47 / /mnt/ntfs rw - fuseblk /dev/sdb1 rw
31 23 254:1 / /mnt/home/local rw - xfs /dev/sdb2 rw
32 22 0:48 / /mnt/auto rw - autofs systemd-1 rw
33 32 0:49 / /mnt/auto rw - nfs filer:/auto rw
34 22 0:50 / /mnt/hidden rw - nfs filer:/hidden rw
35 34 0:51 / /mnt/hidden rw - tmpfs tmpfs rw
36 22 0:52 / /mnt/gcs rw - fuse.gcsfuse bucket rw
37 22 0:53 / /mnt/vm rw - virtiofs share rw
malformed
"""


@pytest.mark.parametrize(
    ("place", "kind"),
    [
        ("/", None), ("/home/me", None), ("/mnt/home/me", "nfs4"), ("/mnt/homes", None), ("/mnt/two words/x", "cifs"),
        ("/mnt/ssh/x", "fuse.sshfs"), ("/mnt/s3/x", "fuse"), ("/mnt/wsl", "9p"), ("/mnt/union", None),
        ("/mnt/rootless", None), ("/mnt/ntfs", None), ("/mnt/home/local/x", None), ("/mnt/auto/x", "nfs"),
        ("/mnt/hidden", None), ("/mnt/gcs/x", "fuse.gcsfuse"), ("/mnt/vm", "virtiofs"),
    ],
)  # fmt: skip
def test_shared_file_systems_are_recognised_by_the_list_of_mounts(tmp_path, monkeypatch, place, kind):
    """The deepest mount counts, of two at one place the later; what only sounds like one of them is none."""
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTS, "utf-8")
    monkeypatch.setattr(file_system, "_MOUNTS", mounts)
    monkeypatch.setattr(file_system, "_number", lambda _path: -1)

    assert file_system.shared_kind(file_system.Path(place)) == kind


def test_they_are_recognised_by_their_numbers_without_a_list(tmp_path, monkeypatch):
    """Where `/proc` is not there, the system's own number of the file system tells."""
    monkeypatch.setattr(file_system, "_MOUNTS", tmp_path / "nothing")
    assert file_system.shared_kind(tmp_path) is None
    monkeypatch.setitem(file_system._NUMBERS, file_system._number(tmp_path), "nfs")

    assert file_system.shared_kind(tmp_path) == "nfs"


def test_a_state_there_is_refused_before_anything_is_made(companies, monkeypatch):
    """Exit 2 names the file system and what to do; what lies there can still be looked at."""
    mounts = companies.write("mountinfo", f"1 0 0:1 / {companies.folder} rw - nfs4 filer:/ rw\n")
    monkeypatch.setattr(file_system, "_MOUNTS", mounts)
    refused = companies.run()
    is_there = (companies.folder / ".bucket_loader").exists()
    monkeypatch.undo()
    companies.run()
    monkeypatch.setattr(file_system, "_MOUNTS", mounts)
    looked = companies.command("status")

    assert (refused.exit_code, is_there, looked.exit_code) == (2, False, 0)
    assert "nfs4" in refused.stderr
    assert "postgresql://" in refused.stderr
