"""Sources that answer SQL: the address, the drivers, and what their types become."""
