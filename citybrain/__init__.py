"""The service: intake, routing to domains, cases, deadlines, dispatch, feedback, API, console, CLI."""
