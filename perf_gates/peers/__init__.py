"""Other version control systems, given the same content and the same work."""
