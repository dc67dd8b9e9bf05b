"""The kill matrix: broken subjects, each with one flaw, and the checks that must notice it."""
