-- One row, the fields of Totals in joins.py. `uses` counts the rows of entries.parquet: the metadata and the pictures of
-- each planned post.
WITH kept AS (FROM outcomes WHERE lost IS NULL)
SELECT *, planned_posts + planned_images AS uses FROM (
    SELECT (SELECT posts FROM mapped) AS mapped_posts,
           (SELECT count(*) FROM rows) AS planned_posts,
           (SELECT coalesce(sum(available), 0) FROM kept) AS planned_images,
           (SELECT count(*) FROM outcomes WHERE lost IS NOT NULL) AS lost,
           (SELECT posts FROM mapped) - (SELECT count(*) FROM posts) AS not_chosen,
           (SELECT count(*) FROM faults) AS faults,
           (SELECT count(*) FROM spanning WHERE last_end > 0) AS spanning_posts,
           (SELECT coalesce(sum(bytes), 0) FROM spanning) AS spool_bytes
);
