"""Trained models at work: files classified with a bundle."""
