"""The reference client: push, fetch and clone against any server that keeps to the protocol."""
