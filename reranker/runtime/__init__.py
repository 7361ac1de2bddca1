"""The server as a process: settings, life cycle, the admin port."""
