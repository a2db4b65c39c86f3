"""Indicators of tone and emotion, for groups of accounts and never for one."""
