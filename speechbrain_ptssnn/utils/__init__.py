"""Helpers that know nothing about speech: files, tables, processes."""
