"""How an experienced user does each task: a function a task, which is shown the page and says what to do there."""
