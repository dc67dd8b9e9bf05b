"""Tests of the local store, room by room."""
