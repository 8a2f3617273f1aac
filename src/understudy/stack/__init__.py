"""The stack file: what a person declares, checked completely before anything starts.

Belongs here: the strict models of the file, its loader (the only reader of YAML), references to secrets and the only reader of
secrets in the environment, the text of a first file, and the manual's page that is generated from the models.
Does not belong here: what is found out about servers and stores, decisions, and defaults that depend on the machine.
"""
