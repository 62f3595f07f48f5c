"""The pipeline file: its words, each with its model, and the YAML that they stand in."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
