"""What the end-to-end tests are made of: the daemon, its API, SIP clients, ears, a capture and a leak scanner."""
