"""The gateway under faults: seeded schedules against real processes, and one checker over what is left."""
