"""Measurements of the foundation, run apart from the tests: `nox -s bench`."""
