"""Every on-disk format of postmill and the run folder that holds them. Imports nothing else of ours."""
