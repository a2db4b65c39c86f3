"""Whatever lies behind an address: every request that postmill makes for a source is made in this room."""
