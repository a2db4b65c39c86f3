-- What hides the posts of a mapping of which nothing is found: why they are lost (without an archive), which entries of
-- each archive are left out, and what the others are called (without a reason).
SELECT NULL AS archive, lost AS reason, count(*) AS number, NULL AS example, arg_min(detail, line) AS detail
FROM outcomes WHERE lost IS NOT NULL GROUP BY ALL
UNION ALL
SELECT archive, fault, count(*), arg_min(name, position), arg_min(detail, position) FROM entries GROUP BY archive, fault
ORDER BY archive, number DESC, reason;
