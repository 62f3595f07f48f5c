"""What a person sees of it: the page, and the questions that it asks."""
