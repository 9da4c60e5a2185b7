"""Quintain: the same few architectures on five kinds of data, with one honest score."""

__version__ = "0.1.0"
