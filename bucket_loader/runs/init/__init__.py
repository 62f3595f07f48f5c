"""`init`: look at a source and write a first pipeline file: from evidence to guesses, from guesses to lines."""
