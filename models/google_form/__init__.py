"""Google Forms: their addresses, and what their public pages say. No HTTP, no database, no clock.

Google documents none of it: all of this is what people have observed.
"""
