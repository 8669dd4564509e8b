"""Sets of models that are trained alike and compared in one table."""
