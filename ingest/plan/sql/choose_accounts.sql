-- `chosen`: the lines of the posts of the accounts that are asked for; and of each account that was listed, how many
-- posts are mapped.
CREATE TABLE chosen AS SELECT line FROM posts SEMI JOIN chosen_accounts USING (influencer);
CREATE TABLE account_posts AS
    SELECT influencer, count(line) AS posts FROM listed_accounts LEFT JOIN posts USING (influencer) GROUP BY influencer;
