"""The Python doors: each is a command of the command line, with its engine and its guarantees, and returns a value."""
