-- `chosen`: the lines of $sample of the posts that can be had. Their order is that of a hash of seed, account and post,
-- so that the same are drawn wherever they lie, and more of them are these and others.
CREATE TABLE chosen AS
    SELECT line FROM posts SEMI JOIN (FROM outcomes WHERE lost IS NULL) USING (line)
    ORDER BY sha256($seed || '/' || influencer || '/' || post_id), line LIMIT $sample;
