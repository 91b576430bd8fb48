"""Load and reports: what `omnimind stress` runs, and what it says about it.

`plan` and `mix` say what is to be sent, `running` sends it with the Rust generator (`_core.LoadRun`) and looks at the
fleet meanwhile (`usage`, `chaos`), `report` holds what was found, `text` and `page` show it. Nothing here knows the
command line or the control socket: how to reach a fleet is passed in.
"""
