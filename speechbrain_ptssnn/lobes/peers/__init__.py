"""Published heads that PTS-SNN is compared with, on the same features.

docs/peers.md gives their sizes and results.
"""
