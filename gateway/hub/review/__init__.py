"""What people do with a breach, on the record: acknowledge, investigate, close, sign; and decide about items."""
