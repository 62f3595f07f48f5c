"""Shows the impact of a plan: which features change for whom."""
