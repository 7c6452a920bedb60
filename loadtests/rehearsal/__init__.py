"""A whole launch day, rehearsed: the system watched from outside, troubles on order, a report of it all."""
