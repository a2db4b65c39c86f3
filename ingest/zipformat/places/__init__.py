"""Where the parts of an archive lie, as people name them: beside one of them, in several folders, in a list."""
