"""The same events in nine shapes, end to end: `python -m benchmarks.shapes`."""
