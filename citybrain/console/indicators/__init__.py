"""Coverage and evaluation as pages, maps and workbooks."""
