"""Reproduces the published push and clone numbers and gates on their budgets."""
