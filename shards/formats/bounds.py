"""How large the numbers and texts of a post's record may be: what lies beyond was never on Instagram.

Entries are bounded in bytes, and a field has to be bounded too: sixty thousand bytes of deflate can be fifteen million
hashtags, and a count beyond 2**53 is no number that a model could be shown. Each bound is far above what the platform
allows (a caption of 2,200 characters, 30 hashtags, 20 tagged users), so that it is met by damage and ill will alone.
"""

from __future__ import annotations

MAX_COUNT = 2**53
"""Of likes, comments, followers and the like: up to here a float64 holds every whole number."""

MAX_SIDE = 2**31 - 1
"""Pixels of a picture's width or height: the column is an int32."""

FIRST_TIME = 946_684_800
"""Seconds since 1970 UTC of 2000-01-01: no post is older."""

LAST_TIME = 4_102_444_800
"""Seconds since 1970 UTC of 2100-01-01; times in milliseconds or microseconds lie beyond."""

MAX_TEXT = 10_000
"""Characters of a caption or of a picture's description."""

MAX_NAME = 256
"""Characters of a name or an id: of an account, a category, a post's link."""

MAX_HASHTAGS = 1_000
"""Hashtags of a post."""

MAX_TAGGED = 1_000
"""Users tagged in a post's pictures."""

MAX_COMMENTS = 1_000
"""Comments of a post of which the text is kept."""

MAX_COMMENTS_TEXT = 65_536
"""Characters of the comments of a post in all."""

MAX_PICTURES = 1_000
"""Pictures that the mapping lists for one post; an int16 numbers them."""
