"""The lake: an object store, the layout of its keys, the commit log that makes data exist."""
