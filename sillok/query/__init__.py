"""The clerk: a query's text in, its answer out, with deadlines, cancellation and bounds."""
