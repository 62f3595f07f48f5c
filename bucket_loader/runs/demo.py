"""The demo's files: a pipeline file, and the sample exports that it reads.

They are the checkout's `pipelines/quickstart.yaml` and `sample_data/`. A wheel carries them along as `demo/`
(`tools/release/wheel.py`), so there is no second copy that could differ.
"""

import shlex
import shutil
from pathlib import Path
from typing import Final

from bucket_loader.model import UsageError

_PACKAGE: Final = Path(__file__).parents[1]
_PIPELINE: Final = Path("pipelines", "quickstart.yaml")
_EXPORTS: Final = "sample_data"


def lay_out_demo(folder: Path) -> Path:
    """Copy the demo's files into a new or empty folder; returns the pipeline file.

    Raises:
        UsageError: there is something in the folder, or it cannot be written.
    """
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise UsageError(f"{folder} is not an empty folder", hint=_of_before(folder))
        for file in _files():
            target = folder / file.relative_to(_home())
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)
    except OSError as error:
        raise UsageError(
            f"the demo's files cannot be written into {folder}: {error.strerror}", hint="give a folder that you own"
        ) from None
    return folder / _PIPELINE


def _of_before(folder: Path) -> str:
    if (folder / _PIPELINE).is_file():
        again = shlex.join(["bucket-loader", "rehearse", str(folder / _PIPELINE)])
        return f"the demo's files are there: `{again}` loads them again"
    return "name a folder that there is not yet; or none, for a temporary one"


def _home() -> Path:
    """Return the folder that the files lie below: in the package, or the checkout."""
    shipped = _PACKAGE / "demo"
    return shipped if shipped.is_dir() else _PACKAGE.parent


def _files() -> list[Path]:
    """Return the files: of the exports those that hold rows."""
    home = _home()
    if not (home / _PIPELINE).is_file():
        raise UsageError(
            "this installation came without the demo's files", hint="`pip install bucket-loader` brings them"
        )
    exports = sorted(file for file in (home / _EXPORTS).iterdir() if file.suffix in {".csv", ".parquet", ".db"})
    return [home / _PIPELINE, *exports]
