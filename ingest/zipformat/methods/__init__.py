"""The compression methods: all of an entry at once, or as its bytes come."""
