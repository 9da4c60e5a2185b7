"""A user's own files: looked into, listed, and split."""
