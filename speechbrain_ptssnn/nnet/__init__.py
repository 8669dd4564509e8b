"""One layer and its equation a file."""
