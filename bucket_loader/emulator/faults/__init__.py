"""What the emulator can be told to do wrong, a fault each."""
