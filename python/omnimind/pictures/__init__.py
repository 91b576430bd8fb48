"""What reports are drawn with: an HTML page that loads nothing, pictures in SVG, and the same pictures as PNG.

It knows no report: numbers come in as milliseconds and words, and what is shown is what came in.
"""
