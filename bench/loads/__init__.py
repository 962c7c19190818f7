"""The loads: each lets clients do something to a target, and measures what that does to them."""
