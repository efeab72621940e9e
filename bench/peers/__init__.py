"""The naive pipeline, honestly made, on three job queues: what most would write first."""
