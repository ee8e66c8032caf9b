"""The one way in: limits, stream identity, ledger, batch, group commit."""
