"""A store with a signature for each file, and what is looked at of a run that was made of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs

SECRET = "s3cr3t"
ARCHIVES = {"--metadata": "Post_metadata", "--images": "Post_images"}
TEXTS = {"--mapping": "JSON-Image_files_mapping.txt", "--influencers": "influencers.txt"}


@dataclass
class Store:
    """A server that gives each file to who has the signature of that file and of now.

    Attributes:
        data: What it serves.
        host: Its address.
        generation: Of the signatures that it takes.
        by_id: Whether files are asked for by the number of their name, and not by their path.
    """

    data: Path
    host: str = ""
    generation: str = "1"
    by_id: bool = False
    asked: list[str] = field(default_factory=list)

    def names(self, folder: str) -> list[str]:
        return sorted(path.name for path in (self.data / folder).iterdir())

    def signature(self, name: str) -> str:
        return f"{SECRET}-{self.generation}-{name.replace('.', '')}"

    def address(self, folder: str, name: str) -> str:
        if self.by_id:
            number = self.names(folder).index(name)
            return f"http://{self.host}/uc?id={folder}-{number}-{self.signature(name)}&export=download"
        return f"http://{self.host}/{folder}/{name}?sig={self.signature(name)}&x=/a.zip"

    def finds(self, path: str, query: str) -> str:
        self.asked.append(path)
        if path != "/uc":
            return path
        folder, number, signature = parse_qs(query)["id"][0].split("-", 2)
        name = self.names(folder)[int(number)]
        return f"/{folder}/{name}" if signature == self.signature(name) else "/none"

    def allows(self, path: str, query: str, authorization: str) -> int:
        if path == "/uc":
            return 200
        return 200 if parse_qs(query).get("sig") == [self.signature(path.rpartition("/")[2])] else 403

    def written(self, list_file: Path, folder: str, *names: str, named: bool = False) -> Path:
        """Write a list of the parts, all by default."""
        lines = [
            f"{name} {self.address(folder, name)}" if named or self.by_id else self.address(folder, name)
            for name in names or self.names(folder)
        ]
        list_file.write_text("# parts\n" + "\n".join(lines) + "\n")
        return list_file


def texts(data: Path) -> list[object]:
    return [word for option, name in TEXTS.items() for word in (option, data / name)]


def listed(store: Store, folder: Path) -> list[object]:
    """Options that name a list for each archive, and the text files."""
    words = texts(store.data)
    for option, archive in ARCHIVES.items():
        words += [option, store.written(folder / f"{archive}.links", archive)]
    return words


def tars(run: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (run / "posts").glob("*.tar")}


def written(run: Path) -> bytes:
    return b"".join(path.read_bytes() for path in run.rglob("*") if path.is_file())
