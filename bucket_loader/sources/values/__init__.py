"""Values on their way to the seam: Arrow types, texts brought to types, durations, texts that cannot be sent."""
