"""Files that lie elsewhere: object stores and HTTPS."""
