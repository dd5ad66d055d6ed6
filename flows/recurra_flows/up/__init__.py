"""`recurra up`: the dashboard's server, what it lets in, and what keeps and runs a project's deployments."""
