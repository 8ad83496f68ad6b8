"""Pusher: makes a blessed candidate the next version in the push directory."""
