"""The test of a pipeline: what an assert file expects, held against what came of a rehearsal."""
