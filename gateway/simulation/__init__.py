"""What would a launch day be like? A virtual crowd led through the real rules, in virtual time.

Beside a fluid model of the same day at 50 per second (592,949 waiting at most, 8,378 hits a second when
intervals follow the wait) it shows 652,000 waiting: devices and bots hold 16 % more tickets than there
are people, and people are told places are few and leave sooner. Polls peak at 7,200 a second within the
opening minute, when all look once, and keep to their budget after it. Beyond the fluid model it counts
arrivals, claims and open forms (16,000 a second in all), and apart from these what the impatient load
unasked: 100,000 a second if bots and hammerers never tire, which nothing but a limit per client holds.

Left out: lost requests and their repetition, hidden tabs, night and deadline, several processes.
"""
