"""The ladder of models: how each is trained and applied."""
