"""What is known of the fleet's log files by those who write them and by those who read them.

`segments`: which files a log consists of; `redact`: what no log may hold; `moments`: times as people write them.
Rule: nothing here writes a log or runs for long, and importing it costs nothing.
"""
