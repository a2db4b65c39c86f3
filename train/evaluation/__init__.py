"""What a model's predictions are worth, with intervals."""
