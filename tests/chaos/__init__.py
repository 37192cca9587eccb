"""A fault campaign: real processes like, read and flush while one thing after another breaks, and then it is reckoned.

`plan` says which faults a round has, `stand` is the servers, `population` who uses them, `faults` what breaks, `rounds`
how a round goes, `reckoning` what has to be true after it, `report` and `page` what is told of all of them.
"""
