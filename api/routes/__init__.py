"""Routes, one noun a file; `api.routers` lists them all."""
