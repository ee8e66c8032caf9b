"""The only room that knows a table or a column."""
