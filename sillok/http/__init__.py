"""What every listener of ours shares: TLS, credentials, tenants, limits, body decoding, error table."""
