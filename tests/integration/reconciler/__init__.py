"""Tests of the reconciler on a real broker."""
