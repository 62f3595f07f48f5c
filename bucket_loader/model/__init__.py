"""What everybody may hold: errors, the contract, records, chunks and their outcomes. Knows no other room."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
