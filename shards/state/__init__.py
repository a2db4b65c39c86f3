"""What of a run is done, by whom, how far it is, and whether it is what it says of itself."""
