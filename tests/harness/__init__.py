"""What the tests share: servers for the whole run, databases, the running product."""
