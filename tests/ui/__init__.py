"""The web page, in a real browser against a real server, and how it gets into the package."""
