"""Side effects of workflows: one class a concern, clients handed to the constructor."""
