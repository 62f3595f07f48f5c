"""Files that lie elsewhere: in an object store, or behind an https URL."""
