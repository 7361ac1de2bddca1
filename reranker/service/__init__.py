"""The gRPC edge: messages become candidates, slates become messages, exceptions become statuses."""
