"""Check: a sample is planned, doubted, and told. Nothing is sent, and nothing is remembered."""
