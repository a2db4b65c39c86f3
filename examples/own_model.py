"""A model of your own on a run's embeddings: ridge regression from captions and pictures, with accounts kept apart.

    python examples/own_model.py RUN

It prints R² on accounts that it was not trained on. Posts without likes or comments have no target and are left out.
"""

from __future__ import annotations

import sys
from hashlib import blake2b
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

Floats = npt.NDArray[np.float64]
FOLDS = 5


def shards(folder: Path) -> list[Path]:
    return sorted(folder.glob("posts-*.parquet"))


def embeddings(run: Path, encoder: str) -> Floats:
    """All vectors of an encoder, in the order of the records; zeros where a post has none."""
    (folder,) = (run / "embeddings").glob(f"{encoder}.*")
    return np.concatenate([np.load(path.with_suffix(".npy")).astype(np.float64) for path in shards(folder)])


def fold(account: str) -> int:
    """The same account is always in the same fold, whatever else the dataset holds."""
    return int.from_bytes(blake2b(account.encode(), digest_size=8).digest()) % FOLDS


def ridge(x: Floats, y: Floats, penalty: float) -> Floats:
    return np.asarray(np.linalg.solve(x.T @ x + penalty * np.eye(x.shape[1]), x.T @ y))


def main(run: Path) -> None:
    columns = ["influencer", "likes", "comment_count"]
    posts = pa.concat_tables(pq.read_table(path, columns=columns) for path in shards(run / "posts"))
    likes, comments = (posts[name].to_numpy().astype(np.float64) for name in columns[1:])
    known = ~np.isnan(likes) & ~np.isnan(comments)
    y = np.log1p(likes + comments)[known]
    x = np.hstack([embeddings(run, "text"), embeddings(run, "image")])[known]
    folds = np.array([fold(account) for account in posts["influencer"].to_pylist()])[known]

    predicted, mean = np.empty_like(y), np.empty_like(y)
    for number in range(FOLDS):
        test = folds == number
        mean[test] = y[~test].mean()
        predicted[test] = mean[test] + x[test] @ ridge(x[~test], y[~test] - y[~test].mean(), penalty=10)
    for name, guess in (("mean of the training posts", mean), ("ridge on captions and pictures", predicted)):
        print(f"{name}: R² {1 - ((y - guess) ** 2).sum() / ((y - y.mean()) ** 2).sum():.3f}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
