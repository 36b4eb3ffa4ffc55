"""What the console shows: a module for each page, whose `find_…` reads what the page needs."""
