"""What the values of a source become: texts, casts, durations, types that Arrow has and JSON lacks."""
