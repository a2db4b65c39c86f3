-- faults.parquet. Nothing is left to chance in the order: the same faults are the same bytes.
SELECT reason, post_lost, influencer, post_id, archive, entry, line, detail,
       false AS post_waits, NULL::BIGINT AS seen_place, NULL::BIGINT AS seen_bytes, NULL::VARCHAR AS seen_hash
FROM faults ORDER BY rank, line, archive, entry, reason, detail;
