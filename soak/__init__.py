"""The soak: the consumer under faults on real parts, and a count that does not use the loader."""
