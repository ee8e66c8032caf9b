"""HTTP, thin: parameters in, service call, body out."""
