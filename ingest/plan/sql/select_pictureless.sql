-- How many posts have no picture that is theirs.
SELECT count(*) FROM posts WHERE malformed IS NULL AND len(images) = 0;
