"""The reference server: the protocol over HTTP, on PostgreSQL and an object store."""
