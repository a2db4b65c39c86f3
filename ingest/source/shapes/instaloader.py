"""What instaloader leaves of profiles: which of its files make which post, and what it says of the accounts.

Of each post there is a JSON file, mostly compressed by xz, and beside it, under the same name but for the ending, its
picture; of several, each with ``_1``, ``_2`` ... behind the name, and of a video a still beside it. How files and
folders are called the user chooses, so that what a file is of, its JSON alone says: ``{"instaloader": {"node_type":
"Post"}, "node": {...}}``, where the node is the post as Instagram's web pages carried it. A profile is one, too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, NamedTuple

from postmill.ingest.source.field_checks import count, exact_number
from postmill.ingest.source.influencers import Influencer, category_named
from postmill.ingest.source.layout import LAYOUTS
from postmill.ingest.source.post_json import NotAPost, parse_json, plain_json
from postmill.shards.formats.bounds import MAX_PICTURES
from postmill.shards.formats.faults import Fault
from postmill.shards.formats.plan import ARCHIVES, IMAGES, METADATA
from postmill.shards.formats.reasons import Reason

XZ_DOCUMENT = ".json.xz"
"""How only a collector's files end."""

HEAD = b'"instaloader"'
"""What stands in the first line or two of a JSON file of its."""

_DOCUMENTS = (XZ_DOCUMENT, ".json")
_COMMENTS = ("_comments.json", "_comments.json.xz")  # of a post, which has a file of its own
_PICTURES = tuple(suffix for layout in LAYOUTS for suffix in layout.images.suffixes)
_PROFILE_PICTURE = "_profile_pic"
_VIDEOS = (".mp4", ".mov", ".webm")
_NUMBERED = re.compile(r"(.+)_(\d{1,4})")
_USERNAME = re.compile(r"[A-Za-z0-9._]{1,64}")
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True)
class CollectedPost:
    """One post and its files, by their paths.

    Attributes:
        influencer: Who posted it.
        post_id: Its number, or else its shortcode.
        document: Its JSON file.
        pictures: In order, name and path of each; the path is None for one that should be there and is not.
    """

    influencer: str
    post_id: str
    document: str
    pictures: tuple[tuple[str, str | None], ...]


@dataclass
class Collection:
    """What a folder of collected files holds.

    Attributes:
        posts: In order of their paths.
        accounts: By name, of those that a profile, or else a post, tells of.
        faults: Of files that are of no post, and of videos, of which stills are used.
        others: How many other files there are: captions and comments as texts, profiles, what a program keeps.
    """

    posts: list[CollectedPost] = field(default_factory=list)
    accounts: dict[str, Influencer] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    others: int = 0


class _Facts(NamedTuple):
    """What is needed of a post before it is packed: ``children`` are its pictures and videos, 0 for a single one."""

    document: str
    owner: Mapping[str, Any]
    post_id: str | None
    children: int


def is_document(path: str) -> bool:
    """Say whether ``path`` may be the JSON of a post or of a profile."""
    return path.lower().endswith(_DOCUMENTS) and not path.lower().endswith(_COMMENTS)


def collect(paths: Sequence[str], documents: Iterable[tuple[str, bytes]], max_entry: int) -> Collection:
    """Return what the files ``paths`` hold.

    Args:
        paths: All of them, with ``/`` between folders.
        documents: Path and content of those that :func:`is_document` tells.
        max_entry: Largest JSON that is taken, bytes.
    """
    found = Collection()
    posts: list[_Facts] = []
    usernames: dict[str, str] = {}  # by id
    for path, content in documents:
        try:
            kind, node = _opened(parse_json(plain_json(content, max_entry)))
        except NotAPost as error:
            found.faults.append(_fault(Reason.METADATA_UNREADABLE, METADATA, path, str(error)))
            continue
        if kind == "Post":
            posts.append(_Facts(path, _owner(node), _post_id(node), _children(node)))
        elif kind == "Profile" and (username := _username(node)) is not None:
            found.accounts[username] = _account(username, node)
            usernames[str(node.get("id"))] = username
        elif kind == "StoryItem":
            found.faults.append(_fault(Reason.UNMAPPED_METADATA, METADATA, path, "a story, and no post"))
    _put_together(found, sorted(posts, key=attrgetter("document")), usernames, _Pictures(paths))
    found.faults += [_fault(Reason.VIDEO, IMAGES, path) for path in paths if path.lower().endswith(_VIDEOS)]
    files = sum(1 + sum(path is not None for _, path in post.pictures) for post in found.posts)
    found.others = len(paths) - files - len(found.faults)
    return found


def _put_together(
    found: Collection, posts: Sequence[_Facts], usernames: Mapping[str, str], pictures: _Pictures
) -> None:
    """Add the posts to ``found``, with what they tell of their accounts, and the faults of what is of none."""
    known: set[tuple[str, str]] = set()
    for document, owner, post_id, children in posts:
        username = _username(owner) or usernames.get(str(owner.get("id"))) or _folder(document)
        taken = pictures.take(document, children)
        if username is None or post_id is None:
            lacking = "the account" if username is None else "the id"
            detail = f"a post that does not say {lacking}"
            found.faults.append(_fault(Reason.METADATA_UNREADABLE, METADATA, document, detail))
        elif (username, post_id) in known:
            detail = f"post {post_id} of {username} is there twice, and the first counts"
            found.faults.append(_fault(Reason.DUPLICATE_NAME, METADATA, document, detail))
            found.faults += [
                _fault(Reason.DUPLICATE_NAME, IMAGES, path, detail) for _, path in taken if path is not None
            ]
        else:
            known.add((username, post_id))
            named = tuple((f"{post_id}{number}", path) for number, path in taken)
            found.posts.append(CollectedPost(username, post_id, document, named))
            if username not in found.accounts and "edge_followed_by" in owner:
                found.accounts[username] = _account(username, owner)
    found.faults += [_fault(Reason.UNMAPPED_IMAGE, IMAGES, path) for path in pictures.left()]


class _Pictures:
    """The pictures of a folder by what they are named after, each to be taken by one post."""

    def __init__(self, paths: Iterable[str]) -> None:
        self._single: dict[str, str] = {}
        self._numbered: dict[str, dict[int, str]] = {}
        for path in paths:
            stem = _without(path, _PICTURES)
            if stem is None or stem.endswith(_PROFILE_PICTURE):
                continue
            self._single.setdefault(stem, path)
            if (match := _NUMBERED.fullmatch(stem)) is not None:
                self._numbered.setdefault(match[1], {}).setdefault(int(match[2]), path)
        self._left = set(self._single.values())

    def take(self, document: str, children: int) -> list[tuple[str, str | None]]:
        """Return what stands behind the names of a post's pictures, with number and ending, and their paths."""
        stem = _without(document, _DOCUMENTS) or document
        numbered = self._numbered.get(stem, {})
        if not children and (stem in self._single or not numbered):
            taken = [("", self._single.get(stem))]
        else:
            numbers = sorted({*range(1, min(children, MAX_PICTURES) + 1), *numbered})
            taken = [(f"_{number}", numbered.get(number)) for number in numbers]
        self._left.difference_update(path for _, path in taken if path is not None)
        return [(f"{number}{_ending(path)}", path) for number, path in taken]

    def left(self) -> list[str]:
        """Return the paths that no post has taken."""
        return sorted(self._left)


def _opened(value: Any) -> tuple[str | None, Mapping[str, Any]]:
    """Return the kind of what a JSON file holds, None for what is none of instaloader's, and the thing itself."""
    if not isinstance(value, dict):
        return None, {}
    about, node = value.get("instaloader"), value.get("node")
    if not isinstance(about, dict) or not isinstance(node, dict):
        return None, {}
    kind = about.get("node_type")
    return (kind if isinstance(kind, str) else None), node


def _owner(node: Mapping[str, Any]) -> Mapping[str, Any]:
    owner = node.get("owner")
    return owner if isinstance(owner, dict) else {}


def _post_id(node: Mapping[str, Any]) -> str | None:
    names = (str(node.get(name)) for name in ("id", "shortcode", "code") if node.get(name) is not None)
    return next((name for name in names if _ID.fullmatch(name)), None)


def _children(node: Mapping[str, Any]) -> int:
    connection = node.get("edge_sidecar_to_children")
    edges = connection.get("edges") if isinstance(connection, dict) else None
    return len(edges) if isinstance(edges, list) else 0


def _username(of: Mapping[str, Any]) -> str | None:
    name = of.get("username")
    return name if isinstance(name, str) and _USERNAME.fullmatch(name) else None


def _folder(path: str) -> str | None:
    """Return the folder of a file as an account's name: that of the profile, unless the user named it otherwise."""
    folder = path.rpartition("/")[0].rpartition("/")[2]
    return folder if _USERNAME.fullmatch(folder) else None


def _account(username: str, profile: Mapping[str, Any]) -> Influencer:
    """Return an account with the numbers of its profile; a category that it does not say is None."""
    numbers = [_number(profile, name) for name in ("edge_followed_by", "edge_follow", "edge_owner_to_timeline_media")]
    said = (profile.get(name) for name in ("category_name", "business_category_name"))
    category = next(
        (text for text in said if isinstance(text, str) and text.isprintable() and 0 < len(text) < 256), None
    )
    return Influencer(username, None if category is None else category_named(category), *numbers)


def _number(profile: Mapping[str, Any], name: str) -> int | None:
    connection = profile.get(name)
    value = connection.get("count") if isinstance(connection, dict) else None
    return None if exact_number(value) is None else count(name, value, [])


def _without(path: str, endings: tuple[str, ...]) -> str | None:
    """Return ``path`` without the first of ``endings`` that it has; None where it has none."""
    lower = path.lower()
    return next((path[: -len(ending)] for ending in endings if lower.endswith(ending)), None)


def _ending(path: str | None) -> str:
    """Return how a picture's name ends; of one that is not there as they mostly do."""
    return ".jpg" if path is None else path[path.rindex(".") :]


def _fault(reason: Reason, archive: int, path: str, detail: str | None = None) -> Fault:
    return Fault(reason, archive=ARCHIVES[archive], entry=path, detail=detail)
