"""What the tests share: jars to play with, faults, processes, and the checker of the protocol's invariants."""
