"""Helpers without knowledge of speech: files, tables, processes."""
