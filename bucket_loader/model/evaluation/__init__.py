"""How rules are evaluated: pure, so that the emulator and the loader judge alike."""

from bucket_loader.model.evaluation import dates, javascript, rules

__all__ = ["dates", "javascript", "rules"]
