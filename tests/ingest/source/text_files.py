"""A small mapping and a small influencers file, what is in them, and what is read of files like them."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from postmill.ingest.source.influencers import HEADER, Influencer, read_influencers
from postmill.ingest.source.mapping import read_mapping

COLUMNS = ["influencer_name", "JSON_PostMetadata_file_name", "Image_file_name"]
ROWS = [
    ["ann.lee", "1.info", "['1.jpg']"],
    ["bob_7", "2.info", "['3.jpg', '4.jpg']"],
    ["1234", "5.info", "['5.jpg']"],
]
MAPPING = " ".join(COLUMNS) + "    \n" + "".join("\t".join(row) + "\n" for row in ROWS)
POSTS = [("ann.lee", "1", ["1.jpg"]), ("bob_7", "2", ["3.jpg", "4.jpg"]), ("1234", "5", ["5.jpg"])]
ACCOUNTS = [Influencer("ann.lee", "food", 187_872, 861, 265), Influencer("bob_7", "pet", 1000, 2, 3)]
INFLUENCERS = f"{HEADER}\n{'=' * 60}\nann.lee\tfood\t187872\t861\t265\nbob_7\tpet\t1000\t2\t3\n"


def table(rows: list[list[str]], delimiter: str = "\t", quoting: int = csv.QUOTE_MINIMAL) -> bytes:
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, quoting=quoting).writerows(rows)  # type: ignore[arg-type]
    return text.getvalue().encode()


def posts(content: bytes, path: Path) -> tuple[list[tuple[str, str, list[str]]], list[int]]:
    """The posts of a mapping file, and the lines of what is malformed in it."""
    path.write_bytes(content)
    rows, wrong = [], []
    for batch, faults in read_mapping(str(path)):
        wrong += [fault.line or 0 for fault in faults]
        for row in batch.to_pylist():
            if row["malformed"] is None:
                rows.append((row["influencer"], row["post_id"], row["images"]))
            else:
                wrong.append(row["line"])
    return rows, sorted(wrong)


def read_accounts(content: bytes, folder: Path) -> tuple[list[Influencer], list[int | None]]:
    (folder / "influencers.txt").write_bytes(content)
    accounts, faults = read_influencers(str(folder / "influencers.txt"))
    return accounts, [fault.line for fault in faults]
