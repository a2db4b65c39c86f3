"""Parts of a run that come, and places that are named, after it was planned."""
