"""Doors for other programs: one orchestrator, one thin package."""
