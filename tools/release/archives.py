"""What is in the archives: every file of the package, the demo, the licence and the bill, and nothing else."""

import base64
import csv
import hashlib
import json
import re
import tarfile
import zipfile

from steps import Failed, LeftOut, called

# Names that are in no archive: tests, caches, what a person's editor or a build leaves.
NEVER = re.compile(
    r"(^|/)(tests?|__pycache__|\.git|\.venv|\.env|\.bucket_loader|node_modules|\.\w+_cache)(/|$)|\.pyc$|~$"
)
# Of the source archive alone: what git does not know.
ALLOWED = {".gitignore", "PKG-INFO"}
SECRETS = re.compile(
    rb"-----BEGIN [A-Z ]*PRIVATE KEY|AKIA[0-9A-Z]{16}|gh[pousr]_[A-Za-z0-9]{36}|pypi-[A-Za-z0-9_-]{50}"
    rb"|(sec|pub)_(prod|live)_[A-Za-z0-9]{8}|xox[abp]-[0-9]{8}"
)
_EXPORTS = ("users.csv", "companies.parquet", "warehouse.db", "feedback.csv")
DEMO = {"pipelines/quickstart.yaml", *(f"sample_data/{name}" for name in _EXPORTS)}
# Words of the licences that may be beside us: none of them asks anything of who uses the loader.
LICENCES = {
    *(
        "MIT",
        "BSD",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "Apache-2.0",
        "Apache",
        "PSF-2.0",
        "ISC",
        "0BSD",
        "Zlib",
        "MPL-2.0",
    ),
    *("Unlicense", "CC0-1.0", "Mozilla"),
}


def contents(release):
    """Compare the names in both archives with what git knows, and look for secrets in their bytes."""
    known = set(called("git", "ls-files", "-z").split("\0"))
    package = {name for name in known if name.startswith("bucket_loader/")}
    wheel, sdist = dict(of_wheel(release)), dict(of_sdist(release))
    inside = {name for name in wheel if ".dist-info/" not in name}
    same("the wheel", inside, package | {f"bucket_loader/demo/{name}" for name in DEMO})
    same("the source archive", set(sdist) & (package | DEMO), package | DEMO)
    wrong = [name for name in (*wheel, *sdist) if NEVER.search(name)]
    wrong += [name for name in sdist if name not in known | ALLOWED]
    wrong += [f"{name} (a secret?)" for name, data in (*wheel.items(), *sdist.items()) if SECRETS.search(data)]
    if wrong:
        raise Failed(f"not to be released: {', '.join(sorted(wrong))}")
    return f"{len(wheel)} files in the wheel, {len(sdist)} in the source archive: no test, no cache, no secret"


def same(what, found, wanted):
    """Require two sets of names to be equal."""
    if found != wanted:
        raise Failed(f"{what} lacks {sorted(wanted - found)}, and has {sorted(found - wanted)} besides")


def record(release):
    """Hold each file of the wheel against RECORD, as an installer does."""
    files = dict(of_wheel(release))
    (name,) = [name for name in files if name.endswith(".dist-info/RECORD")]
    rows = {path: (digest, size) for path, digest, size in csv.reader(files[name].decode().splitlines())}
    same("RECORD", set(rows), set(files))
    for path, data in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        if path != name and rows[path] != (f"sha256={digest}", str(len(data))):
            raise Failed(f"RECORD says something else of {path}")
    return f"RECORD is right for {len(rows)} files"


def bill(release):
    """Hold the bill of materials against CycloneDX's own schema, and against the metadata."""
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    text = release.read(".dist-info/sboms/bucket-loader.cdx.json").decode()
    if wrong := JsonStrictValidator(SchemaVersion.V1_7).validate_str(text):
        raise Failed(f"the bill of materials is not CycloneDX 1.7: {wrong}")
    found = json.loads(text)
    needs = re.findall(
        r"^Requires-Dist: ([A-Za-z0-9._-]+)(?!.*extra ==)", release.read(".dist-info/METADATA").decode(), re.MULTILINE
    )
    spelt = {re.sub(r"[-_.]+", "-", name).lower() for name in needs}
    same("the bill", {one["purl"].removeprefix("pkg:pypi/") for one in found["components"]}, spelt)
    return f"CycloneDX 1.7; {len(found['components'])} packages that it needs, none that it holds"


def licences(release):
    """List the licence of every package that an installation brings; one that nobody has looked at is a failure."""
    if not release.environments:
        raise LeftOut("needs the step `installs`")
    python = next(iter(release.environments.values())) / "bin" / "python"
    found = json.loads(called(python, "-c", LISTING))
    unknown = {name: words for name, words in found.items() if not LICENCES & set(re.split(r"[\s();,/]+", words))}
    if unknown:
        raise Failed(f"licences that nobody has looked at: {unknown}")
    listed = ", ".join(f"{name} {words}" for name, words in found.items())
    return f"the wheel holds our own files (MIT) alone; beside it come {len(found)} packages: {listed}"


LISTING = """
import json
from importlib.metadata import distributions
found = {}
for one in distributions():
    told = one.metadata
    named = [line.rpartition(" :: ")[2] for line in told.get_all("Classifier", []) if line.startswith("License ::")]
    words = told.get("License-Expression") or "; ".join(named) or (told.get("License") or "").splitlines()[0]
    if told["Name"] not in ("pip", "setuptools", "wheel", "bucket-loader"):
        found[told["Name"]] = words.replace("Apache Software License", "Apache-2.0").replace(" License", "")
print(json.dumps(dict(sorted(found.items()))))
"""


def of_wheel(release):
    """Yield the files of the wheel: name and bytes."""
    with zipfile.ZipFile(release.wheel) as archive:
        yield from ((name, archive.read(name)) for name in archive.namelist())


def of_sdist(release):
    """Yield the files of the source archive: name, without the first folder, and bytes."""
    with tarfile.open(release.sdist) as archive:
        for one in archive.getmembers():
            if one.isfile():
                yield one.name.partition("/")[2], archive.extractfile(one).read()
