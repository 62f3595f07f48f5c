"""What the tables and files behind a source are called in a catalogue of lineage (OpenLineage)."""
