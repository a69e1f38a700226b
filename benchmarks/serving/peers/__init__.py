"""The servers that Flawsmith is compared with: the same generator, each in a process of its own."""
