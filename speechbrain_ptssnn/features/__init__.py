"""The feature store: the frozen backbone's output, computed once."""
