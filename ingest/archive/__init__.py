"""A zip, split or not, as its reader sees it. Of use without the rest."""
