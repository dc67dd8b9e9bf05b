"""The checks, one file a topic; each names the requirements it proves."""
