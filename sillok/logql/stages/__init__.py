"""One stage, one file: its meaning on rows and in SQL side by side."""
