"""The conformance suite's own tests."""
