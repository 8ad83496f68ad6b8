"""The installed package's version: part of every custom component's cache key."""

import importlib.metadata

VERSION = importlib.metadata.version("regraft")
PARAMETER = "package_version"
