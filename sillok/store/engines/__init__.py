"""The only files that import a database driver."""
