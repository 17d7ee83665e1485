"""Codecs: message bytes to Arrow columns, fast and by reference."""
