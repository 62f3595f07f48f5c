"""Memory: what each stream last delivered, as hashes; compact and compare a plan against it.

pages      one file: sorted rows in pages, and their index    parts    a stream's files, newer ones winning
comparing  which rows are sent                                 removed  what the source no longer has
staged     the rows of a plan, cut by ranges of keys
merging    writing parts: sorted, merged in tiers, taken over from older versions
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
