"""Whether the model holds: of items, of pairs of items, of the whole test."""
