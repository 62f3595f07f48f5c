"""How rules are evaluated: pure, so that the emulator and the loader judge alike."""
