"""What can be ordered to go wrong: a fault, an order of faults, and the call as a fault sees it."""
