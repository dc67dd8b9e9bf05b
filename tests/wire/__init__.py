"""Tests of the wire format, byte by byte."""
