"""Checks any implementation against the numbered requirements."""
