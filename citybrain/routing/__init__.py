"""From a recorded event and its place to a type, a grade, a department and a limit, or to triage."""
