"""HTTP: one post (`client`, over a `connection`), how fast (`pacing`), and how long to wait (`retry`)."""
