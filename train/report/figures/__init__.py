"""The figures of the report: one definition each, for the page, for a paper, and as numbers."""
