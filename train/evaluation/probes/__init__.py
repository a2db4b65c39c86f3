"""What a model says of its test posts when it is shown something else of them: asked again, never trained again."""
