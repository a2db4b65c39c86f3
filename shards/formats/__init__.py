"""Every format of a run: how it is written, read and named."""
