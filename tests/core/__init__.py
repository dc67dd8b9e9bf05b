"""Tests of the pure decisions, against models that are slow and plain."""
