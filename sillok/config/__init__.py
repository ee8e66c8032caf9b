"""The files people already have, read as they stand; and Sillok's own."""
