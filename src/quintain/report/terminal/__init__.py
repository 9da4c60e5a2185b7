"""The leaderboard on a terminal; the other formats reuse its texts."""
