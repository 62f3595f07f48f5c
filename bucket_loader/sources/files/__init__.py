"""Sources that are files: what a path names, and a reader for each kind."""
