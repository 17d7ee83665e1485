"""``./scripts/bench warehouse``: what loading a warehouse costs, part by part, on one stack.

The warehouse is the Redshift stand-in, so seconds say nothing about a cluster: the ratios say what the
stand-in and the loader add to the PostgreSQL below. See ``bench/README.md``.
"""
