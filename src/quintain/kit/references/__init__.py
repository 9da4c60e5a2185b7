"""Simple predictors that every model must beat."""
