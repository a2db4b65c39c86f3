"""Where a dataset lies, and its text files and metadata."""
