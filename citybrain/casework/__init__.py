"""What becomes of a case once it is routed: its status, its clocks, the feedback of the departments, its closure."""
