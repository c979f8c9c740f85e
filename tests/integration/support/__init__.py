"""What the integration cases share: the list of cases, a podproxy process, small clients, local servers.

Nothing here uses code of the project: a mistake in a codec must not be made on both sides.
"""
