"""Tests of the specification's parser and of the trace."""
