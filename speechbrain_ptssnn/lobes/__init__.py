"""Whole models: the paper's head and its baselines."""
