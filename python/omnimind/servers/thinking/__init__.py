"""The thinking server: step-by-step reasoning that is written down, branched, merged and resumed."""
