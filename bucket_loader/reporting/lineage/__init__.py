"""Lineage: what a run made of which tables, as OpenLineage tells it, and who is told."""
