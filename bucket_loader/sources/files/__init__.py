"""Files: which ones a path means, and a reader for each format."""
