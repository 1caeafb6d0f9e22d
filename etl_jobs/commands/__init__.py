"""What `etl-jobs` can be told to do, a module for each command.

Each has `SUMMARY`, one line for --help; `add_arguments`, which tells a parser what can be typed
after the command; and `run`, which does it. A command's module is imported when it is chosen, and
imports what is heavy when it runs.
"""
