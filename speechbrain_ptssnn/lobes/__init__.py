"""Whole networks: the paper's head, its baselines and its peers."""
