"""What the city is judged by, computed from the record and the dated registry alone."""
