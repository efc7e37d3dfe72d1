"""The API as others meet it: its document, its pages, its README."""
