"""The compactor: from a cut of the lake to the tables of the warehouse."""
