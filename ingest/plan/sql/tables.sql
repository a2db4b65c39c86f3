-- What the joins of the plan work on, and the words that they share. load.py fills the tables; the join_*.sql follow.

-- The archives in the order of METADATA and IMAGES, the numbers that the column `archive` has on disk.
CREATE TYPE archive_name AS ENUM ('metadata', 'images');

-- The faults table is sorted by these, so that what cost most is told first. A rank says what a fault is about; its
-- reason, which is one of a closed list, says what was wrong.
CREATE TYPE fault_rank AS ENUM (
    'lost_post',      -- why a mapped post is in no shard: exactly one for each such post
    'lost_picture',   -- a picture that the mapping lists and that a post in a shard has to do without
    'repeated_row',   -- a row of the mapping for a post that an earlier row has
    'faulty_entry',   -- an entry with a fault that no lost post and no lost picture tells of
    'repeated_name',  -- the entries of an archive whose name a later one has
    'unmapped_entry', -- an entry that no row of the mapping lists
    'missing_account', -- an account of mapped posts that influencers.txt does not have
    'malformed_row'   -- a row of a text file that could not be read
);

-- A mapped post is known by the line of its first row.
-- A row that is malformed has what is wrong with it there, and no images.
CREATE TABLE mapping (line BIGINT, influencer VARCHAR, post_id VARCHAR, images VARCHAR[], malformed VARCHAR);
-- Of a run of chosen accounts: those that were listed, and those that list and categories leave.
CREATE TABLE listed_accounts (influencer VARCHAR);
CREATE TABLE chosen_accounts (influencer VARCHAR);
CREATE TABLE influencers (influencer VARCHAR, category VARCHAR, followers BIGINT, followees BIGINT, posts BIGINT);
-- One row for each record of both central directories, folders left out. `raw_name` is null where it is `name` in
-- UTF-8; `fault` is null where the entry can be used.
CREATE TABLE entries (
    archive archive_name, position BIGINT, name VARCHAR, raw_name BLOB, "offset" BIGINT, "end" BIGINT,
    compressed_size BIGINT, size BIGINT, crc32 UINTEGER, method USMALLINT, flags USMALLINT, "window" INTEGER,
    fault VARCHAR, detail VARCHAR
);
-- Of a collector's files, which are called otherwise: path of each, and its name as the dataset would have it.
CREATE TABLE collected (archive VARCHAR, path VARCHAR, name VARCHAR);
CREATE TABLE faults (
    rank fault_rank, reason VARCHAR, post_lost BOOLEAN, influencer VARCHAR, post_id VARCHAR, archive VARCHAR,
    entry VARCHAR, line BIGINT, detail VARCHAR
);

-- Entries are known by their file name, in whatever folder they are.
CREATE MACRO base(name) AS parse_filename(name, false, 'forward_slash');
-- What macOS keeps of a file beside it: the Finder in a folder of its own, others, such as zip on a disk of another system,
-- in its own folder. No account begins with a dot.
CREATE MACRO companion(name) AS starts_with(name, '__MACOSX/') OR starts_with(base(name), '._');
-- How entries are named, as metadata_entry() and picture_entry() of ingest/source/layout.py have it.
CREATE MACRO metadata_entry(influencer, post_id) AS influencer || '-' || post_id || '.info';
CREATE MACRO picture_entry(influencer, picture) AS influencer || '-' || picture;
-- WebDataset cuts a key at its first dot, and file systems bear no name of any length.
CREATE MACRO safe(post_id) AS left(regexp_replace(post_id, '[^A-Za-z0-9_-]', '_', 'g'), 64);
