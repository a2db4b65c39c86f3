"""What each model of the ladder predicts from, in words for people."""

from __future__ import annotations

from collections.abc import Mapping

_ALL = "text, picture, sentiment, metadata and the account's earlier posts"
WHAT: Mapping[str, str] = {
    "mean": "the mean of its training posts alone",
    "category": "the account's category, by ridge regression",
    "followers": "the number of followers, by ridge regression",
    "history": "the account's earlier posts and followers, by ridge regression",
    "text-ridge": "the caption's embedding, by ridge regression",
    "image-ridge": "the picture's embedding, by ridge regression",
    "text-mlp": "the caption's embedding, by a two-layer network",
    "image-mlp": "the picture's embedding, by a two-layer network",
    "metadata": "the record's numbers, by ridge regression",
    "leak": "the record's numbers and what exists only after publication, by ridge regression",
    "boosting": "metadata, history, sentiment and principal components of embeddings, by gradient boosting",
    "fusion": f"{_ALL}, concatenated",
    "fusion-gates": f"{_ALL}, weighted by gates",
    "fusion-transformer": f"{_ALL}, by a small transformer",
    "fusion-film": "text, picture and sentiment, modulated by metadata and the account's earlier posts",
    "stack": "what history, boosting and fusion predict, weighted",
}
ORDER = tuple(WHAT)
"""The models from the lowest rung to the highest."""
