"""The documentation site: what is made when it is built, from docstrings, from the command line, and from the kept results."""
