"""`quintain compare`: two models, hardware options, versions or stores side by side."""
