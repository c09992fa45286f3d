"""Training: one run, or a population of runs over one frozen model."""
