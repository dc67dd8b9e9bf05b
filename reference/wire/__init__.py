"""The wire format, pure: bytes and records in, values or `ProtocolError` out, no I/O anywhere."""
