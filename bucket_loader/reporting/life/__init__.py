"""The life of one row, as values, as lines and as a page; `runs/life` gathers it."""
