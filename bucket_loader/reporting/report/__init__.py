"""The page of a run: what is known of it as one value, and that value as a page. It holds no row unless asked for."""
