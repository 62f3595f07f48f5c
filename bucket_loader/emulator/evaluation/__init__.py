"""Definitions of features, and which of them a user and a company in the store have."""
