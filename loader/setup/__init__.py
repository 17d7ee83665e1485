"""``heap-loader setup``: from a few answers to a configuration, and what others have to be asked for."""
