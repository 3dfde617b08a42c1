"""What a scrape costs, and how long it keeps users waiting."""
