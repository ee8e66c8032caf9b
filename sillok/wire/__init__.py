"""Bytes to model and back, for every protocol Sillok speaks. No sockets."""
