"""Sources: one class each, and the registry from what the pipeline file says to the class."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
