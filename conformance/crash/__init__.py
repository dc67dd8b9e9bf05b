"""The crash explorer: what would a kill or a power cut leave of a store?

Stands alone: it imports nothing but the standard library, and drives a store through its
adapter command only.  `python -m conformance.crash CMD…` is the whole interface, and
`docs/crash.md` the manual.
"""
