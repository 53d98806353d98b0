"""What `scripts/check_site` asks of a built site: its pages, and what every page offers."""
