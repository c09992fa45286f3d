"""Many runs at once: the grid, its executors, the table of results, figures and report."""
