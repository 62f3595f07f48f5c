"""Databases: the address in a URL, an engine for each kind, and what the types of each become."""
