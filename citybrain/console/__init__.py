"""The operators' pages and the grid worker's report form: server-rendered, over the same functions as the API."""
