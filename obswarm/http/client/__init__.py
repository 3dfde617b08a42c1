"""obswarm's own HTTP client, that of FastHttpUser."""
