"""What people and other programs read: rows while it runs, tables afterwards, JSON, and a page that opens offline."""
