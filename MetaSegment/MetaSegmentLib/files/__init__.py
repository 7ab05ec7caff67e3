"""Images, painted segments and reports as files: read, checked, and written all together or not at all."""
