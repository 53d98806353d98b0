"""What this machine and this installation have, what is missing, what is broken."""
