"""SLURM: script templates, submission and retry."""
