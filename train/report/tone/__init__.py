"""The report's section of tone: what is published, and how the audience answers, of groups and never of a person."""
