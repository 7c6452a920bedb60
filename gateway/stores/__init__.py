"""Where registrations end up: adapters of the store port, behind one conformance suite."""
