"""What the commands share: their options, what they print, and errors as people see them."""
