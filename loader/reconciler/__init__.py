"""The reconciler: control topics to the registry log."""
