"""The past of a pipeline as tables: what they are, what fills them, and what is asked of them."""
