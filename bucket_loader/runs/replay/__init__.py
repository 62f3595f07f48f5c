"""Replay: the dead letters of a run again, as a run of its own."""
