"""Push and query clients for anybody's Loki API."""
