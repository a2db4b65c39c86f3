"""Why a row, or one picture of it, could not be encoded."""

from __future__ import annotations

from enum import StrEnum

from postmill.shards.formats.reasons import MEANING, Reason


class Absence(StrEnum):
    """The closed list of the column ``reason``."""

    NO_CAPTION = "no_caption"
    NO_COMMENTS = "no_comments"
    NO_TEXT = "no_text"
    NO_IMAGE = "no_image"
    IMAGE_EMPTY = Reason.IMAGE_EMPTY  # what is wrong with a picture is a fault of the run too
    IMAGE_UNREADABLE = Reason.IMAGE_UNREADABLE
    IMAGE_TOO_LARGE = Reason.IMAGE_TOO_LARGE
    IMAGE_DAMAGED = Reason.IMAGE_DAMAGED


ABSENCE_MEANING = {
    Absence.NO_CAPTION: "the post has no caption, or none with a visible character",
    Absence.NO_COMMENTS: "the post has no comment with a visible character",
    Absence.NO_TEXT: "the post has neither a caption nor a comment with a visible character",
    Absence.NO_IMAGE: "the post shard has no picture of the post",
    Absence.IMAGE_EMPTY: MEANING[Reason.IMAGE_EMPTY],
    Absence.IMAGE_UNREADABLE: MEANING[Reason.IMAGE_UNREADABLE],
    Absence.IMAGE_TOO_LARGE: MEANING[Reason.IMAGE_TOO_LARGE],
    Absence.IMAGE_DAMAGED: MEANING[Reason.IMAGE_DAMAGED],
}
