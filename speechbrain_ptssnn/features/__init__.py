"""The feature store: what the frozen backbone said, computed once."""
