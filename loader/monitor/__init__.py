"""Watching: how far behind the lake is, and whether it holds what its log says."""
