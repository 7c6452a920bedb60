"""Fakes, one per port: each answers what it is told to and writes down what it was asked."""
