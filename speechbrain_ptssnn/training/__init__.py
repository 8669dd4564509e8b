"""From a command line to a trained and tested fold."""
