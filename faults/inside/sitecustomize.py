"""Python imports this before anything else where its folder is on the path, which the campaign sees to."""

from faults.inside import hooks

hooks.install()
