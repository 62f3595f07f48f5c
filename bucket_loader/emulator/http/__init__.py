"""The API over HTTP: the server, the calls, and their answers."""
