"""What a folder holds that somebody has not looked into, and which command fits it."""
