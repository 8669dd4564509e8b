"""A trained run as one HTML file."""
