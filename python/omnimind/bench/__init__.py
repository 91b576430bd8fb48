"""The benchmark: one load, measured by three clocks side by side, and what follows from it.

`nine` starts the fleet that is measured, `running` sends the load in phases and has each clock read around each of them
(`clocks`; the kernel's by `watcher`, which alone stays root), `report` holds what was found, `verdict` and `advice`
judge it, `text` and `page` show it. Nothing here knows the command line.
"""
