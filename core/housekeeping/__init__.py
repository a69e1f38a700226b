"""What keeps a site in order over months: retention, backup and restore."""
