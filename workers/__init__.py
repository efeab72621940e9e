"""rq workers: handle, deliver, patrol."""
