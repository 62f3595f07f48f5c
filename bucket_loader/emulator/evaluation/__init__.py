"""Definitions of features, and what they come to for a user and a company."""
