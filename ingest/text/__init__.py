"""Text as people and programs write it, to what postmill reads."""
