"""Domain values every other part of the daemon speaks in: numpy and the standard library only."""
