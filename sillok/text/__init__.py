"""Reading and writing text, without any model of logs."""
