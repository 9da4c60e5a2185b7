"""The gate: two sets of results, judged cell by cell and together, that end in an exit code."""
