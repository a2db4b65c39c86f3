-- posts.parquet. `found` says of each listed picture whether the archive has it; it has all of most posts. A key is the
-- post id made safe; where two would be equal, both carry a hash of account and id.
WITH partial AS (
    SELECT line, list(position IS NOT NULL AND fault IS NULL ORDER BY image) AS found
    FROM pictures SEMI JOIN (FROM outcomes WHERE lost IS NULL AND available < listed) USING (line) GROUP BY line
)
SELECT r.shard, r.row,
       if(c.safe IS NULL, safe(post_id),
          safe(post_id) || '-' || left(sha256(p.influencer || '/' || post_id), 16)) AS key,
       p.influencer, post_id, line, p.images, coalesce(f.found, list_transform(p.images, lambda x: true)) AS found,
       i.category, i.followers, i.followees, i.posts AS influencer_posts
FROM rows r JOIN posts p USING (line)
LEFT JOIN clashing c ON c.safe = lower(safe(post_id))
LEFT JOIN influencers i ON i.influencer = p.influencer
LEFT JOIN partial f USING (line)
ORDER BY r.shard, r.row;
