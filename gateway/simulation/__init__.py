"""What would a launch day be like? A virtual crowd led through the real rules, in virtual time."""
