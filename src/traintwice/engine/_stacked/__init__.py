"""Hand-written passes for groups of fully connected networks, on one thread."""
