"""OpenTelemetry's protocol: parameters in, service call, body out."""
