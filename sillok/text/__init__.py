"""Reading and writing text: regular expressions, durations, sizes. Knows nothing of logs."""
