"""Labelled volumes: finding them, painting them by the protocol, keeping some out of training, making more."""
