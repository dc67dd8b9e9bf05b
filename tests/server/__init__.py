"""The reference server, in process and over sockets."""
