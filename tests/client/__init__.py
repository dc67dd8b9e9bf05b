"""The client against the reference server, through a proxy that can spoil any step."""
