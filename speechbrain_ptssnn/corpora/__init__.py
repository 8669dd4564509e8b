"""The corpora, one module each; ``common`` and ``folds`` serve them all."""
