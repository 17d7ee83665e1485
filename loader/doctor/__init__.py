"""``heap-loader doctor``: every endpoint and every right that the loader will need, tried."""
