"""The local `.muse` store: files that are either whole and durable, or not there."""
