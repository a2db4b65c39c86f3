"""GPUs: which there are for this process, how data get there and back, and how long they compute."""
