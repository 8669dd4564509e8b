"""Published heads that PTS-SNN is compared with, on the same features; their
sizes are in docs/peers.md.
"""
