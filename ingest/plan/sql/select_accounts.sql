-- accounts.parquet: the accounts that were listed, and how many posts of each are mapped.
SELECT influencer, posts FROM account_posts ORDER BY influencer;
