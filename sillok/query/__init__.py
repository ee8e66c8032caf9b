"""The clerk: text in, result out."""
