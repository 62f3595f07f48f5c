"""The sender: one post (`client`), how often (`retry`), how fast (`pacing`), and which parts on a 400 (`isolation`)."""
