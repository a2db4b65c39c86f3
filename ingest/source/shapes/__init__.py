"""Data as people have them: files of a collector, downloads within downloads, folders that nobody has looked into."""
