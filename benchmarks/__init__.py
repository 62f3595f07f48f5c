"""Measurements of the loader, as ratios in one run: `make bench`."""
