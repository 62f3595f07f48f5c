"""How rules are evaluated: pure, so that the emulator and the loader judge alike."""

from bucket_loader.model.evaluation import javascript, rules

__all__ = ["javascript", "rules"]
