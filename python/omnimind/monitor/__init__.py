"""How long calls take: seen by the kernel (bpftrace) where that can be, else by the gateway's own histograms.

`kernel` runs the probes of the `.bt` files, `gateway` reads `/metrics`; both give `report.Reading`s that only grow, and
`report.Meter` makes windows and reports of them. Nothing here prints. Whoever runs this as root for a user writes
files through `invoker`.
"""
