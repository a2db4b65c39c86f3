"""The run folder: what pins it, and how files are put into it whole or not at all."""
