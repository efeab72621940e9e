"""One case or event: why it is where it is, until when, what happened, and what may be done now."""
