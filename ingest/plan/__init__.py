"""Which entry goes where: directories and mapping joined, windows and post shards cut."""
