"""What may be typed after a command: options and arguments, and how their values are read."""
