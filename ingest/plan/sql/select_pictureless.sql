-- How many posts have no picture that is theirs; no row where it is not the names of entries that say which are.
SELECT count(*) FILTER (malformed IS NULL AND len(images) = 0) FROM posts
HAVING count(*) > 0 AND NOT EXISTS (FROM collected);
