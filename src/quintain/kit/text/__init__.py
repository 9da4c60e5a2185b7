"""Texts as symbols, and symbols as texts."""
