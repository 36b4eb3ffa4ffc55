"""What happens without a request: results are delivered, and silent conversations end."""
