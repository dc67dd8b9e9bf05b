"""The tests of the performance gates."""
