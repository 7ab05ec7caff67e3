"""Methods that compare features of pixels with those of painted pixels."""
