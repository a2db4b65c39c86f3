"""What every stage runs with: errors as people see them, signals, progress."""
