"""HttpUser: requests over obswarm's connections, with every call counted."""
