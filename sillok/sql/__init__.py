"""The SQL we generate, as values; `render` turns values into text and bound parameters and never decides."""
