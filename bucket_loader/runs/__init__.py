"""Runs: planning and delivery put together, and all that looks at a run afterwards."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
