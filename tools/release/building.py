"""The archives: built twice in different surroundings, and once more from the source archive."""

import hashlib
import os
import shutil
import sys
import tarfile
import time

from steps import ROOT, Failed, called, tool

SURROUNDINGS = ({"umask": 0o022, "TZ": "UTC", "LC_ALL": "C"}, {"umask": 0o077, "TZ": "Asia/Tokyo", "LC_ALL": "C.UTF-8"})


def build(release):
    """Build two copies of the last commit, with other paths, permissions, times and zones; the bytes must be equal."""
    epoch = called("git", "log", "-1", "--format=%ct").strip()
    os.environ["SOURCE_DATE_EPOCH"] = epoch
    found = []
    for number, surroundings in enumerate(SURROUNDINGS):
        folder = release.folder / f"{'a' * (1 + 20 * number)}"
        found.append(built(checkout(folder, surroundings["umask"]), folder / "dist", **surroundings))
    digests = [{path.name: digest(path) for path in archives} for archives in found]
    if digests[0] != digests[1]:
        raise Failed(f"two builds differ: {digests[0]} and {digests[1]}")
    release.sdist, release.wheel = found[0]
    if release.keep is not None:
        release.keep.mkdir(parents=True, exist_ok=True)
        for path in found[0]:
            shutil.copyfile(path, release.keep / path.name)
    uncommitted = called("git", "status", "--porcelain")
    shown = ", ".join(f"{path.name} ({path.stat().st_size:,} bytes)" for path in found[0])
    return f"twice the same bytes: {shown}{'; what is not committed is not in them' if uncommitted else ''}"


def from_sdist(release):
    """Build the wheel from the source archive: it must be the same."""
    folder = release.folder / "from-sdist"
    with tarfile.open(release.sdist) as archive:
        archive.extractall(folder, filter="data")
    (source,) = folder.iterdir()
    called(sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", folder / "dist", source)
    (wheel,) = (folder / "dist").iterdir()
    if digest(wheel) != digest(release.wheel):
        raise Failed("the source archive builds another wheel")
    return "the source archive builds the same wheel"


def metadata(release):
    """Have twine look at what an index would show."""
    called(tool("twine"), "check", "--strict", release.sdist, release.wheel)
    return "twine check --strict finds nothing"


def checkout(folder, umask):
    """Write the last commit into a folder."""
    before = os.umask(umask)
    try:
        source = folder / "source"
        source.mkdir(parents=True)
        archive = folder / "commit.tar"
        called("git", "archive", "--output", archive, "HEAD", cwd=ROOT)
        called("tar", "--extract", "--touch", "--no-same-permissions", "--file", archive, cwd=source)
    finally:
        os.umask(before)
    return source


def built(source, target, *, umask, **variables):
    """Build both archives of a checkout; returns the source archive and the wheel."""
    before = os.umask(umask)
    try:
        called(sys.executable, "-m", "build", "--no-isolation", "--sdist", "--outdir", target, source, **variables)
        time.sleep(1.1)  # zip files count in steps of two seconds, tar files of one
        called(sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", target, source, **variables)
    finally:
        os.umask(before)
    return next(target.glob("*.tar.gz")), next(target.glob("*.whl"))


def digest(path):
    """Return the sha256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
