"""The leaderboard for other programs: Markdown, LaTeX, CSV, JSON. All say the same numbers."""
