"""What a person sees of the emulator: the page, and the queries that it makes."""
