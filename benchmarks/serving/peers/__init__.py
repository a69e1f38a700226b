"""What Flawsmith is measured beside: the same generator behind other servers, each a process of its own."""
