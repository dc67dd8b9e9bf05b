"""One document of what was measured, and its forms: terminal, JSON, Markdown, HTML."""
