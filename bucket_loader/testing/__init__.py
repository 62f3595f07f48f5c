"""What the author of a source type tests it with: the promises that every source of bucket_loader keeps.

    from bucket_loader.testing import SourceSuite, open_source

    class TestFixedWidth(SourceSuite):
        def make(self, folder, columns):
            ...  # write the columns
            return open_source({"type": "fixed_width", "path": "data.txt"}, folder)

pytest runs the tests of such a class as any others. (Tests of what a program sends to Bucket have the fixture `bucket`:
`bucket_loader.integrations.pytest`.)
"""

from bucket_loader.testing.read import Read
from bucket_loader.testing.sources import Columns, SourceSuite, open_source

__all__ = ["Columns", "Read", "SourceSuite", "open_source"]
