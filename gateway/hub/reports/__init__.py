"""Reports: what is known of one consignment's transport, as a document, and the forms in which it leaves."""
