"""Workers for the tests of a state: each loses its disk whenever it ends."""

import shutil
from uuid import uuid4

import servers
import stores
from workplace import Workplace


class Pod(Workplace):
    """A worker whose disk is lost whenever it ends; pipelines have names of their own, so their states do not mix."""

    def command_of(self, *words, **variables):
        """Run a command on a new disk."""
        shutil.rmtree(self.folder / ".bucket_loader", ignore_errors=True)
        return super().command_of(*words, **{"BUCKET_LOADER_STATE": self.state} | variables)


def new_pod(folder, emulator, s3):
    """Make a worker whose ledger lies on a server and whose files lie in a store."""
    it = Pod(folder, emulator.url)
    it.prefix = uuid4().hex
    it.state = f"{servers.postgres_url()} {s3.url(it.prefix)}"
    return it


def objects(s3, pod, folder=""):
    """List what a pod's state has in the store, without the names that are drawn."""
    from pyarrow import fs

    found = s3.files.get_file_info(fs.FileSelector(f"{stores.BUCKET}/{pod.prefix}", recursive=True))
    return sorted(path for one in found if one.is_file and f"/{folder}" in (path := one.path))


def all_objects(s3, pod):
    """Return the bytes of all that a pod's state has in the store, by name."""
    found = {}
    for path in objects(s3, pod):
        with s3.files.open_input_stream(path, compression=None) as file:
            found[path] = file.read()
    return found
