"""End to end: real processes, real clients, HTTP; nothing is looked at from inside."""
