"""The corpora, one module each; ``registry`` lists them."""
