"""What a person reads of each result. Importing a module of this room registers the sheets of its types of results."""
