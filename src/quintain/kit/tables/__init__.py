"""Tables: read, typed, and laid on a grid of time."""
