"""Any registered BrowserGym task, in a process of its own."""
