"""Logs for agents: the fleet's, journald's, and records that clients append.

Plain modules, from below: `plain` (a text that cannot forge anything), `levels`, `words` and `wanted` (what is
looked for), `record`; the three kinds of source: `fleetlogs` with its `index`, `records`, `journal`; `walk` reads
several sources as one, `templates` and `stats` sum up; `sources` says who may read what.
"""
