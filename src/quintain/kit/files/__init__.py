"""Files: downloads, checks, archives, and problems with them in one message."""
