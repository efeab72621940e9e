"""What is asked of the service beside the way of an event: places, registers, sessions, the stream, health."""
