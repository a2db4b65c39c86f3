"""The zip format alone: parts, records and compression methods. Knows nothing of posts."""
