"""Plans, reports and search results as text, Markdown and JSON: values in, a string out.

A renderer decides nothing and reads nothing: no clock, no terminal, no environment. What a terminal can do comes in
the `View`. No output ends in a newline, and none can steer the terminal or the CI runner that shows it.
"""
