"""The leaderboard in formats for documents and other programs; all show the same numbers."""
