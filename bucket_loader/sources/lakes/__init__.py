"""Tables made of files: Delta Lake and Iceberg."""
