"""What training sees of a run: posts, features, splits, and guards against leaks."""
