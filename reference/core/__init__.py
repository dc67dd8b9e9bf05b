"""Pure decisions: ancestry, closure, three-way merge, what a pack must prove."""
