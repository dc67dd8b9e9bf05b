"""The specification in numbered requirements, and what reads them."""
