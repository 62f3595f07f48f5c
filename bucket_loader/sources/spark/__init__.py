"""Spark: rows that only it can reach. Needs the extra `spark`."""
