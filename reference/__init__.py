"""A minimal client, store and server that define the semantics of Muse."""

__version__ = "0.1.0"
