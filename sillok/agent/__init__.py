"""The collector: sources, labels, positions, spool, sender."""
