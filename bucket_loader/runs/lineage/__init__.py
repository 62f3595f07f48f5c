"""The lineage of a call: what each stream read and wrote, told at its start and at its end."""
