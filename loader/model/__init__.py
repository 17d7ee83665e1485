"""Pure model: events, definitions, tables, names, cuts. No I/O, no clock, no globals."""
