"""What tone is told by: what encoders' columns mean, word lists, languages, and the tables that are made of them."""
