"""Sources: each owns one wire, records what comes over it, and decodes it once into domain values."""
