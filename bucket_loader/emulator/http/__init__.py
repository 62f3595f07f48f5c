"""The API over HTTP: the server, the calls, what each path does, and its description."""
