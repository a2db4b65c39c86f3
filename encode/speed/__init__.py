"""The same numbers in less time: changes to networks that were loaded by transformers."""
