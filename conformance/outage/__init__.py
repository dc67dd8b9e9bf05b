"""What a server's death or a power cut leaves of a push: on every disk that took part in it."""
