"""Items that treat two groups of equal ability differently."""
