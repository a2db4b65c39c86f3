"""Cards that the report writes; those of models stand beside the models."""
