"""The parts of fuzz.py: what it tries, and how it judges."""
