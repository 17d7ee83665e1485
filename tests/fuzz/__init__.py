"""Broken messages in any number: a fast decoder must judge each as the reference does."""
