"""What an event costs: the whole pipeline measured as it runs, beside the naive pipeline on three job queues."""
