"""How a work order reaches a department's own system: endpoints, signed messages, and the attempts to deliver them."""
