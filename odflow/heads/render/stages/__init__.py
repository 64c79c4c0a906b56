"""What plugs into the command line."""
