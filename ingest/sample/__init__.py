"""Invented datasets in the real layout, with known truth, and the writer of split zips that they need."""
